//! An operator ends shift sessions and takes a key out of belief, over the daemon's socket; a phone
//! that was signed in hears it at its next request.

mod house;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use house::{House, Plan, TCP_SERVER, device, free_port, repository};
use wardgate::journal::Kind;

/// A phone: signs in, and asks for its acts each time it is told to.
const PHONE: &str = "
const { Client } = await import(process.argv[1]);
const phone = new Client(process.argv[2]);
console.log((await phone.signIn('nurse-1')).status);
for await (const _ of process.stdin) {
  const answer = await phone.ask('GET', '/v1/acts');
  console.log(`${answer.status} ${answer.body.error ?? 'acts'}`);
}";

fn with_bedside(port: u16) -> Plan {
    let tables = format!(
        "\n[charting]\nlisten = \"127.0.0.1:{port}\"\norigins = [\"http://127.0.0.1:{port}\"]\n\
         owner = \"box\"\n\n[identity]\ndevelopment = true\n\
         issuer = \"https://development.wardgate.invalid\"\naudience = \"wardgate-box\"\n\
         clients = [\"wardgate-bedside\"]\n\
         role = [{{ value = \"nurse\", role = \"registered-nurse\" }}]\n\
         person = [{{ id = \"nurse-1\", name = \"Made Up\", roles = [\"nurse\"], wards = [\"icu\"] }}]\n"
    );
    Plan {
        gateway: tables,
        ..Plan::of(device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER))
    }
}

struct Phone {
    child: Child,
    says: BufReader<std::process::ChildStdout>,
}

impl Phone {
    fn at(port: u16) -> Self {
        let client = repository().join("tests/bedside/client.mjs");
        let mut child = Command::new("node")
            .args(["--input-type=module", "-e", PHONE])
            .arg(client)
            .arg(format!("http://127.0.0.1:{port}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node");
        let says = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, says }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.says.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    fn acts(&mut self) -> String {
        self.child.stdin.as_mut().expect("its input").write_all(b"\n").expect("it hears");
        self.line()
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(output: &std::process::Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn a_lost_phone_is_shut_out_by_the_operators_word() {
    if house::judges::node_modules("a_lost_phone_is_shut_out_by_the_operators_word").is_none() {
        return;
    }
    let port = free_port();
    let mut house = House::open(with_bedside(port));
    let mut phone = Phone::at(port);
    assert_eq!(phone.line(), "201");
    assert_eq!(phone.acts(), "200 acts");

    let listed = text(&house.verb(&["bedside", "sessions"]));
    let row = listed.lines().find(|line| line.contains("nurse-1")).expect("her session");
    assert!(row.contains("registered-nurse"), "{row}");
    let id = row.split_whitespace().next().unwrap().to_owned();

    let end = |house: &House, whose: &[&str], reason: &str| {
        let word = ["--by", "ward sister", "--reason", reason];
        house.verb(&[&["bedside", "end"], whose, &word].concat())
    };
    let none = end(&house, &["--session", "no-such"], "lost phone");
    assert!(!none.status.success() && text(&none).contains("nothing has changed"));
    // Ids are random: some begin with a hyphen.
    let hyphen = end(&house, &["--session", "-no-such"], "lost phone");
    assert!(!hyphen.status.success() && text(&hyphen).contains("nothing has changed"));
    let coded = end(&house, &["--session", &id], "phone of 131052-308T");
    assert!(!coded.status.success() && text(&coded).contains("identity code"));
    assert_eq!(phone.acts(), "200 acts", "nothing has changed");
    let ended = end(&house, &["--person", "nurse-1"], "lost phone");
    assert!(ended.status.success(), "{}", text(&ended));
    let answer = phone.acts();
    assert!(answer.starts_with("401 "), "{answer}");
    assert!(!text(&house.verb(&["bedside", "sessions"])).contains("nurse-1"));

    let removed = ["bedside", "remove-key", "k-1", "--by", "ward sister", "--reason", "leaked"];
    assert!(house.verb(&removed).status.success());
    let persons = house.journal_records().into_iter().filter(|one| one.kind == Kind::Audit);
    let rows: Vec<String> =
        persons.map(|one| String::from_utf8_lossy(&one.payload).into_owned()).collect();
    for event in ["sessions-ended", "key-removed"] {
        let row = rows.iter().find(|row| row.contains(event)).expect("it stands in the journal");
        assert!(row.contains("ward sister"), "{row}");
    }
    assert!(house.stop().success());
}

#[test]
fn a_house_without_a_bedside_says_so() {
    let monitor = device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER);
    let mut house = House::open(Plan::of(monitor));
    let listed = house.verb(&["bedside", "sessions"]);
    assert!(!listed.status.success() && text(&listed).contains("no bedside"));
    assert!(house.stop().success());
}
