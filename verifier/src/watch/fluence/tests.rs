use super::*;

const PLAIN: Conversion = Conversion {
    factor: 2.0,
    attenuation: 0.5,
    hours_ahead: 0.0,
};

fn read(text: &str, conversion: Conversion) -> Result<Counts, CountsError> {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("counts");
    std::fs::write(&path, text).expect("write");
    Counts::read(&path, conversion)
}

#[test]
fn both_forms_and_all_writings_of_time_are_the_same() {
    // date -u -d 2026-11-26T12:30:00 +%s
    let expected = 1_795_696_200.0;
    let csv = "time,counts\n1795696200,100\n2026-11-26T12:30:10Z,200\n";
    let other = "Counts , Time\n100,2026-11-26 13:30:00\n200,2026-11-26T13:30:10.0\n";
    let chipir = "26/11/2026 13:30:00 .0 a b c 100 9\n26/11/2026 13:30:10 .0 a b c 200 9\n";
    let local = Conversion {
        hours_ahead: 1.0,
        ..PLAIN
    };
    let found = read(csv, PLAIN).expect("CSV");
    assert_eq!(found.span(), (expected, expected + 10.0));
    assert_eq!(read(other, local).expect("CSV"), found);
    assert_eq!(read(chipir, local).expect("ChipIR"), found);
}

#[test]
fn a_file_of_a_spreadsheet_and_one_from_its_end_to_its_beginning_are_the_same() {
    let found = read("time,counts\n1795696200,100\n1795696210,200\n", PLAIN).expect("CSV");
    for text in [
        "\u{feff}time,counts\r\n1795696200,100\r\n1795696210,200\r\n",
        "\n  \ntime;counts;x\n1795696200;100;1\n\n1795696210;200;1\n",
        "Time, Counts ,x\n1795696210,200,\n1795696200,100,\n",
    ] {
        assert_eq!(read(text, PLAIN).expect(text), found);
    }
}

#[test]
fn fluence_is_what_was_counted_between_two_times() {
    let counts = Counts::new(
        vec![(0.0, 50.0), (10.0, 150.0), (20.0, 150.0), (30.0, 20.0)],
        2.0,
    );
    let counts = counts.expect("four readings");
    assert_eq!(counts.between(0.0, 10.0), 200.0);
    assert_eq!(counts.between(2.5, 5.0), 50.0);
    assert_eq!(counts.between(10.0, 20.0), 0.0);
    let beams = [5.0, 15.0, 25.0, 30.0, 30.1, -1.0].map(|time| counts.beam_at(time));
    let expected = [
        Beam::On,
        Beam::Off,
        // What was counted before the counter began anew is not known.
        Beam::Unknown,
        Beam::Unknown,
        Beam::Unknown,
        Beam::Unknown,
    ];
    assert_eq!(beams, expected);
    // The counter began anew with 0.
    assert_eq!(counts.between(20.0, 30.0), 40.0);
    let reset = Reset {
        time: 30.0,
        from: 150.0,
        to: 20.0,
    };
    assert_eq!(counts.resets, [reset]);
    let share = counts.share(0.0, 30.0);
    assert_eq!((share.unknown, share.fluence), (10.0, 200.0));
}

#[test]
fn a_time_is_cut_where_the_beam_and_the_readings_end() {
    let counts = Counts::new(vec![(0.0, 0.0), (10.0, 100.0), (20.0, 100.0)], 2.0);
    let counts = counts.expect("three readings");
    let expected = Share {
        on: 5.0,
        off: 10.0,
        unknown: 4.0,
        fluence: 100.0,
    };
    assert_eq!(counts.share(5.0, 24.0), expected);
    let before = Share {
        unknown: 4.0,
        ..Share::default()
    };
    assert_eq!(counts.share(-5.0, -1.0), before);
}

/// One count in 4 s on average, read each second, and a beam that is off for 100 s.
#[test]
fn a_slow_counter_stands_still_between_two_counts_while_the_beam_is_on() {
    let mut counted = 0.0;
    let readings = (0..400).map(|second| {
        let is_on = !(200..300).contains(&second);
        // Four counts at once, each 16 s.
        counted += if is_on && second % 16 == 0 { 4.0 } else { 0.0 };
        (f64::from(second), counted)
    });
    let counts = Counts::new(readings.collect(), 1.0).expect("many readings");
    let share = counts.share(0.0, 399.0);
    // To the second of the counts before and after it.
    assert!((share.off - 100.0).abs() <= 16.0, "{share:?}");
    assert_eq!(counts.beam_at(100.0), Beam::On);
    assert_eq!(counts.beam_at(250.0), Beam::Off);
}

#[test]
fn a_counter_that_falls_is_refused_unless_it_begins_anew() {
    let file = |counts: &[f64]| {
        let lines = counts.iter().enumerate();
        let lines = lines.map(|(at, counts)| format!("{},{counts}\n", 10 * at));
        read(
            &format!("time,counts\n{}", lines.collect::<String>()),
            PLAIN,
        )
    };
    let anew = file(&[1e6, 1.001e6, 1.002e6, 500.0, 1500.0]).expect("one new beginning");
    assert_eq!((anew.resets.len(), anew.between(0.0, 40.0)), (1, 3500.0));
    assert_eq!(file(&[5.0, 0.0, 7.0]).expect("zero").resets.len(), 1);
    for (counts, named) in [
        // One reading that is too low: all that was counted before would be counted again.
        (&[1e6, 1.001e6, 1.0009e6, 1.002e6][..], "line 4"),
        // And one that is too high.
        (&[1e6, 1.001e6, 3e6, 1.002e6], "line 5"),
        // Counts of each interval.
        (&[100.0, 107.0, 101.0, 108.0], "line 4"),
        (&[3.0, 0.0, 5.0, 0.0, 4.0, 0.0, 4.0], "fell 3 times"),
    ] {
        let error = file(counts).expect_err(named).to_string();
        assert!(error.contains(named) && error.contains("hint:"), "{error}");
    }
}

#[test]
fn two_readings_of_one_time_are_one_and_said() {
    let counts = read("time,counts\n0,0\n10,5\n10,7\n20,9\n", PLAIN).expect("in order");
    assert_eq!((counts.same_time, counts.readings()), (1, 3));
    assert_eq!(counts.between(0.0, 10.0), 7.0);
}

#[test]
fn a_line_that_is_no_reading_is_named() {
    for (text, named) in [
        ("time,counts\n1,2\nsoon,3\n", "line 3"),
        ("time,counts\n1,2\n2,-3\n", "line 3"),
        ("time,counts\n1,2\n2026-02-29T00:00:00,3\n", "line 3"),
        (
            "time,counts\n2026-11-26T12:30:00,1\n2026-11-26T12:30:99,2\n",
            "line 3",
        ),
        ("time,counts\n2026-11-26-77T12:30:00,1\n", "line 2"),
        ("time,counts\n2026-11-26T12:30:00:55,1\n", "line 2"),
        ("time,counts\n1795696200000,1\n", "milliseconds"),
        ("time,counts\n1,2\n3,4\n2,5\n", "line 4"),
        ("26/11/2026 12:30:00 .0 1 2 3\n", "line 1"),
        ("26/11/2026 12:30:61 .0 1 2 3 4\n", "line 1"),
        ("time,counts\n1,2\n", "fewer than two"),
        ("time,counts\n1,2\n1,2\n", "fewer than two"),
        ("", "fewer than two"),
    ] {
        let error = read(text, PLAIN).expect_err(text).to_string();
        assert!(error.contains(named), "{error}");
    }
}
