//! Writes records of a watch as libLogHelper's lines, into files and datagrams.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::{ToSocketAddrs, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::{ToSpan as _, ZonedDateTime};

use crate::watch::log::Entry;
use crate::watch::log::event::{Event, Faulty, Sdc, SdcClass};

/// A datagram holds a byte and so many of ASCII.
const MOST_OF_LINE: usize = 1023;
/// A name is of a second; workers that begin within one second take the next ones.
const MOST_IN_ONE_SECOND: i64 = 60;
/// How often a server to which there is no way is looked for.
const TRY_AGAIN: Duration = Duration::from_secs(30);
const WITH_ECC: u8 = 0x0e;
const WITHOUT_ECC: u8 = 0x0d;

/// Datagrams to a server; that nobody hears them is no error.
#[derive(Debug)]
pub struct Sender {
    address: String,
    /// Absent as long as there is no way to the server: after a boot without the network, say.
    socket: Option<UdpSocket>,
    tried: Instant,
    first: u8,
}

/// What is written, and where.
#[derive(Debug)]
pub struct TextLog {
    /// Where files go, if they do.
    folder: Option<PathBuf>,
    sender: Option<Sender>,
    benchmark: String,
    host: String,
    has_ecc: bool,
    header: String,
    file: Option<File>,
    /// Whether a worker is there whose lines these are.
    is_open: bool,
    iterations: u64,
    seconds: f64,
    errors: u64,
    /// A wrong batch: its `#ERR` lines come first, and it may turn out to be none.
    pending: Option<(Sdc, Vec<Faulty>)>,
}

impl Sender {
    /// To `HOST:PORT`. Where there is no way to it, that is tried again later; the error says why
    /// there is none now.
    pub fn new(address: &str, has_ecc: bool) -> (Self, io::Result<()>) {
        let (socket, found) = match connected(address) {
            Ok(socket) => (Some(socket), Ok(())),
            Err(error) => (None, Err(error)),
        };
        let sender = Self {
            address: address.to_owned(),
            socket,
            tried: Instant::now(),
            first: if has_ecc { WITH_ECC } else { WITHOUT_ECC },
        };
        (sender, found)
    }

    fn send(&mut self, line: &str) {
        if self.socket.is_none() && self.tried.elapsed() >= TRY_AGAIN {
            self.tried = Instant::now();
            self.socket = connected(&self.address).ok();
        }
        let mut datagram = vec![self.first];
        datagram.extend(line.bytes().take(MOST_OF_LINE));
        if let Some(socket) = &self.socket {
            let _ = socket.send(&datagram);
        }
    }
}

fn connected(address: &str) -> io::Result<UdpSocket> {
    let address = address
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::other("no such host"))?;
    let own = match address.is_ipv4() {
        true => "0.0.0.0:0",
        false => "[::]:0",
    };
    let socket = UdpSocket::bind(own)?;
    socket.connect(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

impl TextLog {
    /// Of a benchmark on this host; files go into a folder, which exists.
    pub fn new(
        folder: Option<&Path>,
        sender: Option<Sender>,
        benchmark: &str,
        host: &str,
        has_ecc: bool,
    ) -> Self {
        Self {
            folder: folder.map(Path::to_owned),
            sender,
            benchmark: in_name(benchmark),
            // The last underscore of the name is what parsers look for.
            host: in_name(host).replace('_', "-"),
            has_ecc,
            header: String::new(),
            file: None,
            is_open: false,
            iterations: 0,
            seconds: 0.0,
            errors: 0,
            pending: None,
        }
    }

    /// Writes what there is to be written of a record.
    pub fn take(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Faulty(faulty) => {
                if let Some((_, listed)) = &mut self.pending {
                    listed.push((**faulty).clone());
                    return;
                }
            }
            Event::Classified(classified) => self.classified(classified.class),
            // What is only now and then told says nothing of a wrong batch.
            Event::Beat(_) | Event::Telemetry(_) => {}
            _ => self.write_pending(),
        }
        match &entry.event {
            Event::Start(start) => {
                let arguments = start.arguments.join(" ").replace([';', '\n'], "-");
                let blake3 = start.bundle_blake3.get(..16).unwrap_or_default();
                self.header = format!(
                    "part:{} device:{} bundle:{blake3} arguments:{arguments}",
                    start.part, start.device
                );
            }
            Event::Worker(_) => self.begin(),
            Event::Beat(beat) => {
                self.iterations += beat.batches;
                self.seconds += beat.exposed;
                if beat.batches > 0 {
                    let mean = beat.exposed / beat.batches as f64;
                    let (number, all) = (self.iterations, self.seconds);
                    self.line(&format!("#IT {number} KerTime:{mean:.7} AccTime:{all:.7}"));
                } else if self.is_open {
                    self.line("#INF not in a batch");
                }
            }
            Event::Sdc(sdc) => self.pending = Some((sdc.clone(), vec![])),
            Event::Due(due) => {
                self.line(&format!("#INF DUE {}: {}", due.kind, due.what));
                self.is_open = false;
                self.file = None;
            }
            Event::Command(command) if command.ended.is_none() => {
                self.line(&format!("#INF {}: {}", command.step, command.command));
            }
            Event::End(_) => {
                self.line("#END");
                self.is_open = false;
                self.file = None;
            }
            _ => {}
        }
    }

    fn begin(&mut self) {
        if self.is_open {
            self.file = None;
        }
        (self.iterations, self.seconds, self.errors) = (0, 0.0, 0);
        self.is_open = true;
        let now = ZonedDateTime::now();
        if let Some(folder) = &self.folder {
            let created = (0..MOST_IN_ONE_SECOND).find_map(|later| {
                let path = folder.join(self.name(&(&now + later.seconds())));
                let file = File::options().append(true).create_new(true).open(&path);
                Some((file.ok()?, path))
            });
            if let (Some(sender), Some((_, path))) = (&mut self.sender, &created) {
                sender.send(&format!("#LOGFILE {}", path.display()));
            }
            self.file = created.map(|(file, _)| file);
        }
        let header = self.header.clone();
        self.line(&format!("#HEADER {header}"));
        let time = now.strftime("Y:%Y M:%m D:%d Time:%H:%M:%S");
        self.line(&format!("#BEGIN {time}"));
    }

    fn name(&self, time: &ZonedDateTime) -> String {
        let ecc = if self.has_ecc { "ON" } else { "OFF" };
        let (benchmark, host) = (&self.benchmark, &self.host);
        let time = time.strftime("%Y_%m_%d_%H_%M_%S");
        format!("{time}_{benchmark}_ECC_{ecc}_{host}.log")
    }

    fn classified(&mut self, class: SdcClass) {
        match class {
            SdcClass::OwnDamage => {
                self.pending = None;
                self.line("#INF the golden or the inputs in memory were damaged: no SDC");
            }
            SdcClass::Stuck => {
                self.write_pending();
                self.line("#ABORT amount of errors equals of the last iteration");
            }
            SdcClass::Transient | SdcClass::UntilReload => self.write_pending(),
        }
    }

    fn write_pending(&mut self) {
        let Some((sdc, listed)) = self.pending.take() else {
            return;
        };
        if sdc.is_of_bits_only() {
            let samples = sdc.differing_samples;
            self.line(&format!(
                "#INF {samples} samples differ within the tolerance"
            ));
            return;
        }
        // One without a pattern differs within the tolerance alone.
        for faulty in listed.iter().filter(|faulty| faulty.pattern.is_some()) {
            for pair in &faulty.listed {
                let (index, read, expected) = (&pair.index, pair.actual, pair.golden);
                self.line(&format!("#ERR p: {index:?} r: {read:e} e: {expected:e}"));
            }
        }
        let errors = sdc.faulty_elements as u64;
        self.errors += errors;
        self.line(&format!(
            "#SDC Ite:{} KerTime:{:.7} AccTime:{:.7} KerErr:{errors} AccErr:{}",
            self.iterations + 1,
            sdc.seconds,
            self.seconds,
            self.errors
        ));
    }

    /// A line of ASCII, to the file and the server.
    fn line(&mut self, text: &str) {
        let is_plain = |character: char| character.is_ascii() && !character.is_ascii_control();
        let text: String = text
            .chars()
            .map(|character| if is_plain(character) { character } else { '?' })
            .collect();
        if let Some(file) = &mut self.file {
            // A disk that is full takes nothing from the watch's own log.
            let _ = writeln!(file, "{text}");
            if !text.starts_with("#IT") {
                let _ = file.sync_data();
            }
        }
        if let Some(sender) = &mut self.sender {
            sender.send(&format!("{text}\n"));
        }
    }
}

/// A text as a part of a file's name.
fn in_name(text: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    let plain = |character| if is_plain(character) { character } else { '-' };
    text.chars().map(plain).collect()
}
