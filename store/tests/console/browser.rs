//! A browser without a screen: cookies, forms with their tokens, and the headers that real ones send.

use super::common::tls::AnyVault;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }

    /// The token of the first form, if there is one.
    pub fn token(&self) -> Option<&str> {
        self.body.split_once("name=\"token\" value=\"")?.1.split('"').next()
    }
}

#[derive(Clone)]
pub struct Browser {
    address: SocketAddr,
    pub cookies: BTreeMap<String, String>,
    pub language: &'static str,
    /// of the newest page that had a form
    pub token: String,
}

impl Browser {
    pub fn at(address: SocketAddr) -> Self {
        Browser { address, cookies: BTreeMap::new(), language: "en", token: String::new() }
    }

    /// Goes to a page as somebody does who types its address.
    pub async fn get(&mut self, path: &str) -> Answer {
        let head = format!("GET {path} HTTP/1.1\r\nsec-fetch-site: none\r\n");
        let answer = self.send(&head, "").await;
        self.remember(&answer);
        answer
    }

    /// Sends a form of a page of ours, with the token of the newest one.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.token.clone();
        let fields = [&[("token", token.as_str())], fields].concat();
        let answer = self.post_bare(path, &fields, &self.origin()).await;
        self.remember(&answer);
        answer
    }

    /// What a browser says of a form of a page of ours.
    pub fn origin(&self) -> String {
        format!("origin: https://{}\r\nsec-fetch-site: same-origin\r\n", self.address)
    }

    /// Sends a form just as it is.
    pub async fn post_bare(&self, path: &str, fields: &[(&str, &str)], headers: &str) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let kind = "content-type: application/x-www-form-urlencoded\r\n";
        let head = format!("POST {path} HTTP/1.1\r\n{headers}{kind}content-length: {}\r\n", body.len());
        self.send(&head, &body).await
    }

    fn remember(&mut self, answer: &Answer) {
        if let Some(token) = answer.token() {
            self.token = token.to_owned();
        }
        for (_, value) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, rest) = value.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            match value.is_empty() {
                true => drop(self.cookies.remove(name)),
                false => drop(self.cookies.insert(name.to_owned(), value.to_owned())),
            }
        }
    }

    /// Sends a request; `head` lacks only what every request has.
    pub async fn send(&self, head: &str, body: &str) -> Answer {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = if cookies.is_empty() { String::new() } else { format!("cookie: {}\r\n", cookies.join("; ")) };
        let rest = format!(
            "host: {}\r\naccept-language: {}\r\n{cookies}connection: close\r\n\r\n",
            self.address, self.language
        );
        self.raw(format!("{head}{rest}{body}").as_bytes()).await
    }

    /// Sends bytes.
    pub async fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text).await; // some servers leave without a good-bye
        let text = String::from_utf8(text).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            return Answer { status: 0, headers: Vec::new(), body: text };
        };
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Answer { status, headers, body: body.to_owned() }
    }
}

pub async fn connect(address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyVault));
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("console").unwrap();
    TlsConnector::from(Arc::new(builder.with_no_client_auth())).connect(name, stream).await
}
