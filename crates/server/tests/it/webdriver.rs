//! A small WebDriver client (<https://www.w3.org/TR/webdriver2/>): Chromium through its ChromeDriver.

use crate::process::tool;
use crate::wire::{Answer, connect, read_answer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};

/// The key of an element reference, fixed by the standard.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// ChromeDriver on a free port. Killed when dropped.
pub struct Driver {
    child: Child,
    address: SocketAddr,
}

impl Driver {
    pub fn start() -> Driver {
        let mut command = Command::new(tool("PAYMENTGATE_CHROMEDRIVER"));
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("chromedriver starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let told = lines
            .find(|line| line.contains("started successfully on port"))
            .expect("it says where it listens");
        // Its other lines have to go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        let port =
            told.trim_end_matches('.').rsplit(' ').next().and_then(|port| port.parse().ok()).expect("a port");
        Driver { child, address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.try_send(method, path, body).expect("chromedriver listens").expect("an answer")
    }

    fn try_send(&self, method: &str, path: &str, body: &Value) -> io::Result<Option<Answer>> {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let address = self.address;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = connect(address)?;
        stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice())?;
        read_answer(&mut BufReader::new(stream))
    }

    /// Opens a browser without a window.
    pub fn browser(&self, javascript: bool) -> Browser<'_> {
        let mut args =
            vec!["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"];
        // Chromium's sandbox cannot be set up by root.
        if std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0) {
            args.push("--no-sandbox");
        }
        let scripts = if javascript { 1 } else { 2 };
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {
                "binary": tool("PAYMENTGATE_CHROMIUM"),
                "args": args,
                "prefs": {"profile.managed_default_content_settings.javascript": scripts},
            },
        }}});
        let made = self.send("POST", "/session", &capabilities).expect(200);
        let session = made["value"]["sessionId"].as_str().expect("a session").to_owned();
        Browser { driver: self, path: format!("/session/{session}") }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One browser. Closed when dropped.
pub struct Browser<'a> {
    driver: &'a Driver,
    path: String,
}

impl Browser<'_> {
    fn ask(&self, method: &str, command: &str, body: &Value) -> Value {
        let answer = self.driver.send(method, &format!("{}{command}", self.path), body);
        assert_eq!(answer.status, 200, "{command}: {}", answer.body);
        answer.json()["value"].clone()
    }

    pub fn open(&self, url: &str) {
        self.ask("POST", "/url", &json!({ "url": url }));
    }

    pub fn title(&self) -> String {
        self.ask("GET", "/title", &Value::Null).as_str().expect("a title").to_owned()
    }

    pub fn find(&self, css: &str) -> String {
        let found = self.ask("POST", "/element", &json!({"using": "css selector", "value": css}));
        found[ELEMENT].as_str().expect("an element").to_owned()
    }

    /// What a person reads in an element.
    pub fn text(&self, css: &str) -> String {
        let element = self.find(css);
        self.ask("GET", &format!("/element/{element}/text"), &Value::Null)
            .as_str()
            .expect("a text")
            .to_owned()
    }

    /// What a style sheet makes of an element.
    pub fn style(&self, css: &str, property: &str) -> String {
        let element = self.find(css);
        self.ask("GET", &format!("/element/{element}/css/{property}"), &Value::Null)
            .as_str()
            .expect("a style")
            .to_owned()
    }

    pub fn click(&self, css: &str) {
        let element = self.find(css);
        self.ask("POST", &format!("/element/{element}/click"), &json!({}));
    }

    /// Presses keys in an element, as a person without a mouse does.
    pub fn press(&self, css: &str, keys: &str) {
        let element = self.find(css);
        self.ask("POST", &format!("/element/{element}/value"), &json!({ "text": keys }));
    }

    /// Runs a function body in the page. The driver can do this even where pages may not.
    pub fn run(&self, script: &str) -> Value {
        self.ask("POST", "/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Makes the page as wide as a device of `width` pixels.
    pub fn resize(&self, width: u32) {
        let metrics = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false});
        let command = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics});
        self.ask("POST", "/goog/cdp/execute", &command);
    }

    /// A picture of the page, as PNG.
    pub fn screenshot(&self) -> Vec<u8> {
        let picture = self.ask("GET", "/screenshot", &Value::Null);
        STANDARD.decode(picture.as_str().expect("base64")).expect("base64")
    }

    /// What the page's console was told since the last call, among it each breach of a security policy.
    pub fn console(&self) -> Vec<String> {
        let entries = self.ask("POST", "/se/log", &json!({"type": "browser"}));
        entries.as_array().expect("a list").iter().map(|entry| entry["message"].to_string()).collect()
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        // Without this the browser would outlive its driver. It may be a failed test that ends here.
        let _ = self.driver.try_send("DELETE", &self.path, &Value::Null);
    }
}
