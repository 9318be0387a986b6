use super::simulation::*;
use super::*;

#[test]
fn explore() {
    let campaigns: u64 = std::env::var("CAMPAIGNS").map_or(200, |n| n.parse().unwrap());
    let show = |name: &str,
                truth: &Truth,
                questions: &[Question],
                sampling,
                run: &(dyn Fn(u64) -> Tally + Sync)| {
        let t = std::time::Instant::now();
        let c = truth.covered(sampling, questions, campaigns, run);
        let n = campaigns as f64;
        println!(
            "{name}: {:.0} faults, {:.1?}",
            c.faults as f64 / n,
            t.elapsed()
        );
        let mut singles = (0.0, 1.0f64, 0.0);
        for (i, q) in questions.iter().enumerate() {
            let cov = c.covered[i] as f64 / n;
            let se = (c.spreads[i] / n).sqrt();
            if q.domain.site.is_some() && q.domain.bit.is_some() && q.domain.tier.is_some() {
                singles.0 += cov;
                singles.2 += 1.0;
                if cov < 0.945 {
                    println!(
                        "    low single {cov:.4} p={:.5} {:?}",
                        truth.rate(&q.domain),
                        q.domain
                    )
                }
                singles.1 = singles.1.min(cov);
                continue;
            }
            println!(
                "  {:?} p={:.5} cov {:.4} bias/se {:.3} halfwidth/(1.96 se) {:.3} hw {:.5}",
                q.domain,
                truth.rate(&q.domain),
                cov,
                c.errors[i] / n / se,
                c.half_widths[i] / n / 1.96 / se,
                c.half_widths[i] / n
            );
        }
        if singles.2 > 0.0 {
            println!(
                "  singles: mean {:.4} worst {:.4}",
                singles.0 / singles.2,
                singles.1
            );
        }
    };
    for (name, truth, margin) in [
        ("unequal", Truth::unequal(), 0.003),
        ("network", Truth::network(), 0.001),
    ] {
        let mut qs = vec![TOTAL];
        let q = |site, bit, tier| Question {
            domain: Domain { site, bit, tier },
            ..TOTAL
        };
        for s in [0, 5, 10, 15] {
            qs.push(q(Some(s), None, None));
        }
        for b in [0, 7] {
            qs.push(q(None, Some(b), None));
        }
        for t in [0, 3] {
            qs.push(q(None, None, Some(t)));
        }
        qs.push(q(Some(15), Some(7), None));
        for (i, s) in truth.population.strata().iter().enumerate() {
            if i % 97 == 0 {
                qs.push(q(Some(s.site), Some(s.bit), s.tier));
            }
        }
        let p = truth.rate(&Domain::default());
        let needed = sample_size(1 << 60, margin, Confidence::new(0.95).unwrap(), p);
        println!(
            "{name}: {} strata, p={p:.5}, uniform needs {needed}",
            truth.population.strata().len()
        );
        if std::env::var("NO_UNIFORM").is_err() {
            show("uniform", &truth, &qs, Sampling::Uniform, &|seed| {
                truth.uniform(20_000, seed)
            });
        }
        let target = [Target {
            question: TOTAL,
            margin,
        }];
        show("adaptive", &truth, &qs, Sampling::Adaptive, &|seed| {
            truth.adaptive(&target, seed)
        });
    }
}
