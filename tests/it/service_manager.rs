//! Tests what a service manager needs of the binary: the protocol of systemd's `Type=notify`, secrets from credential files,
//! the health check of a container image, and the man pages of a package.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use reqwest::Method;
use tempfile::TempDir;

use crate::support::eventually::PATIENCE;
use crate::support::service::{Service, order, orders};

/// A socket that takes the place of systemd's.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    /// The next message of the service.
    fn next(&self) -> String {
        let mut message = [0; 4096];
        let length = self.0.recv(&mut message).expect("the service notifies its manager");
        String::from_utf8_lossy(&message[..length]).trim().to_owned()
    }

    /// Waits for a message, and returns the messages before it.
    fn until(&self, message: &str) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            match self.next() {
                next if next == message => return before,
                next => before.push(next),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_reports_that_it_is_ready_alive_and_stopping() {
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("notify");
    let manager = Manager::at(&socket);
    let mut command = orders(&["serve", "--listen", "127.0.0.1:0", "--data"]);
    command.arg(folder.path().join("data")).env("ORDERS_MIN_FREE_DISK", "1");
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "200000");
    let mut service = Service::spawn(command);
    assert_eq!(manager.until("READY=1"), [""; 0], "the first message is that the service is ready");
    // It is ready when it says so.
    let answer = service.send(Method::GET, "/readyz?for=writes", None).await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    for _ in 0..3 {
        assert_eq!(manager.until("WATCHDOG=1"), [""; 0]);
    }
    service.signal("TERM");
    let before = manager.until("STOPPING=1");
    assert!(before.iter().all(|message| message == "WATCHDOG=1"), "{before:?}");
    assert_eq!(service.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_service_manager_nothing_is_expected_of_one() {
    let folder = TempDir::new().unwrap();
    let mut service = Service::start(&folder.path().join("data"), &[]);
    service.accept("/v1/orders", &order("c-1")).await;
    assert_eq!(service.terminate().code(), Some(0));
    let log = service.rest_of_log();
    assert!(!log.contains("service manager"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_check_asks_a_running_service() {
    let folder = TempDir::new().unwrap();
    let mut service = Service::start(&folder.path().join("data"), &[]);
    let check = |path: &str| {
        let output = orders(&["health", "--path", path]).env("ORDERS_URL", &service.url).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    for path in ["/readyz", "/readyz?for=writes", "/healthz"] {
        let (code, text) = check(path);
        assert!(code == Some(0) && text.starts_with("200 OK"), "{path}: {text}");
    }
    let (code, text) = check("/v1/orders/o-1");
    assert!(code == Some(1) && text.contains("404"), "{text}");
    let (code, text) = check("readyz");
    assert!(code == Some(2) && text.contains("must begin with a slash"), "{text}");
    let url = service.url.clone();
    service.terminate();
    let output = orders(&["health", "--url", &url]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && text.contains("does not answer"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_ready_fails_its_health_check() {
    let folder = TempDir::new().unwrap();
    let mut command = orders(&["serve", "--listen", "127.0.0.1:0", "--data"]);
    // No disk has this much space.
    command.arg(folder.path().join("data")).env("ORDERS_MIN_FREE_DISK", "1000000000000");
    let service = Service::spawn(command);
    let check = |path: &str| orders(&["health", "--url", &service.url, "--path", path]).output().unwrap();
    assert_eq!(check("/readyz").status.code(), Some(0));
    let writes = check("/readyz?for=writes");
    let text = String::from_utf8(writes.stderr).unwrap();
    assert!(
        writes.status.code() == Some(1) && text.contains("503") && text.contains("the disk has"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_come_from_the_credentials_of_the_unit() {
    let folder = TempDir::new().unwrap();
    let credentials = folder.path().join("credentials");
    fs::create_dir(&credentials).unwrap();
    let url = "https://127.0.0.1:9/hush";
    fs::write(credentials.join("alert-webhook"), format!("{url}\n")).unwrap();
    fs::write(credentials.join("alert-webhook-secret"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
    let unit = include_str!("../../packaging/systemd/secrets.conf");
    let start = |credentials: &Path| {
        let mut command = orders(&["serve", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(folder.path().join("data")).env("ORDERS_MIN_FREE_DISK", "1");
        for (variable, name) in [
            ("ORDERS_ALERT_WEBHOOK_FILE", "alert-webhook"),
            ("ORDERS_ALERT_WEBHOOK_SECRET_FILE", "alert-webhook-secret"),
        ] {
            assert!(unit.contains(&format!("Environment={variable}=%d/{name}\n")), "{variable}");
            assert!(unit.contains(&format!("LoadCredential={name}:/etc/orders/{name}\n")), "{name}");
            command.env(variable, credentials.join(name));
        }
        command
    };
    let mut service = Service::spawn(start(&credentials));
    assert_eq!(service.terminate().code(), Some(0));
    assert!(!service.rest_of_log().contains("hush"));
    let output = start(&folder.path().join("none")).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("ORDERS_ALERT_WEBHOOK_FILE"), "{error}");
}

#[test]
fn the_man_pages_of_all_commands_are_written_to_a_folder() {
    let folder = TempDir::new().unwrap();
    let to = folder.path().join("man1");
    assert!(orders(&["man", "--to"]).arg(&to).status().unwrap().success());
    let mut names: Vec<_> =
        fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    for name in ["orders.1", "orders-serve.1", "orders-dlq.1", "orders-dlq-list.1", "orders-health.1"] {
        assert!(names.iter().any(|found| found == name), "{name} is not in {names:?}");
    }
    for name in names {
        let page = fs::read_to_string(to.join(&name)).unwrap();
        assert!(page.contains(".TH ") && page.contains(".SH NAME"), "{name}: {page}");
    }
    let both = orders(&["man", "dlq", "--to", "x"]).output().unwrap();
    assert_eq!(both.status.code(), Some(2), "{}", String::from_utf8_lossy(&both.stderr));
}
