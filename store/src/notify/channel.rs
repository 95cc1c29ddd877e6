//! The two ways to tell people: a webhook and mail. Each message is one try, bounded in time; what became of it is the answer.
//!
//! A webhook gets the message as JSON, and `X-Shosoin-Signature: sha256=HEX`, HMAC-SHA-256 of the body under the shared secret, where
//! there is one. Source: RFC 2104; RFC 5321, 3207 (SMTP, STARTTLS).

use super::config::{ChannelConfig, MailTls};
use super::message::Message;
use crate::error::{Error, Result};
use hmac::{Hmac, KeyInit as _, Mac as _};
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{SmtpTransport, Transport as _};
use serde::Serialize;
use sha2::Sha256;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// For one try, from the first byte to the last.
const TAKES: Duration = Duration::from_secs(20);

/// A channel that is ready.
pub(super) enum Channel {
    /// a webhook
    Web { client: reqwest::Client, url: String, secret: Option<Zeroizing<Vec<u8>>> },
    /// mail
    Mail { transport: Box<SmtpTransport>, from: Mailbox, to: Vec<Mailbox> },
}

impl Channel {
    /// Makes one ready. Files are relative to the vault's folder unless absolute.
    pub(super) fn open(dir: &Path, config: &ChannelConfig) -> Result<Self> {
        let bad = |why: String| Error::Config {
            path: dir.join(crate::config::FILE),
            why: format!("notify {}: {why}", config.name),
        };
        let read = |path: &PathBuf| {
            let path = dir.join(path);
            std::fs::read(&path).map(Zeroizing::new).map_err(|source| Error::Io { action: "read", path, source })
        };
        let authority = config.authority.as_ref().map(read).transpose()?;
        if let Some(url) = &config.url {
            let mut builder =
                reqwest::Client::builder().timeout(TAKES).redirect(reqwest::redirect::Policy::none()).no_proxy();
            if let Some(pem) = &authority {
                let certificate = reqwest::Certificate::from_pem(pem).map_err(|error| bad(error.to_string()))?;
                builder = builder.tls_certs_only([certificate]);
            }
            let client = builder.build().map_err(|error| bad(error.to_string()))?;
            let secret = config.secret_file.as_ref().map(read).transpose()?;
            let secret = secret.map(|secret| Zeroizing::new(secret.trim_ascii_end().to_vec()));
            return Ok(Channel::Web { client, url: url.clone(), secret });
        }
        let mailbox = |text: &String| text.parse::<Mailbox>().map_err(|error| bad(format!("{text}: {error}")));
        let from = mailbox(&config.from.clone().unwrap_or_default())?;
        let to = config.to.iter().map(mailbox).collect::<Result<Vec<_>>>()?;
        let (host, port) =
            server(config).ok_or_else(|| bad("smtp is a server and its port, as in mail.example:587".into()))?;
        let tls = || {
            let mut parameters = TlsParameters::builder(host.to_owned());
            if let Some(pem) = &authority {
                let certificate = Certificate::from_pem(pem).map_err(|error| bad(error.to_string()))?;
                parameters = parameters.certificate_store(CertificateStore::None).add_root_certificate(certificate);
            }
            parameters.build().map_err(|error| bad(error.to_string()))
        };
        let tls = match config.tls {
            MailTls::Starttls => Tls::Required(tls()?),
            MailTls::Tls => Tls::Wrapper(tls()?),
            MailTls::None => Tls::None,
        };
        let mut builder = SmtpTransport::builder_dangerous(host).port(port).tls(tls).timeout(Some(TAKES / 2));
        if let (Some(user), Some(file)) = (&config.user, &config.password_file) {
            let password = read(file)?;
            let password =
                std::str::from_utf8(password.trim_ascii_end()).map_err(|_| bad("the password is no text".into()))?;
            builder = builder.credentials(Credentials::new(user.clone(), password.to_owned()));
        }
        Ok(Channel::Mail { transport: Box::new(builder.build()), from, to })
    }

    /// One try to post something as JSON. What went wrong is said without a word of it.
    pub(super) async fn post(&self, message: &impl Serialize) -> Result<(), String> {
        let Channel::Web { client, url, secret } = self else { return Err("mail takes messages alone".to_owned()) };
        let body = serde_json::to_vec(message).map_err(|error| error.to_string())?;
        let mut request = client.post(url).header("content-type", "application/json");
        if let Some(secret) = secret {
            request = request.header("x-shosoin-signature", format!("sha256={}", signature(secret, &body)));
        }
        let answer = request.body(body).send().await.map_err(|error| error.without_url().to_string())?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("the server answered {}", status.as_u16())),
        }
    }

    /// One try. What went wrong is said without a word of the message.
    pub(super) async fn send(&self, message: &Message) -> Result<(), String> {
        match self {
            Channel::Web { .. } => self.post(message).await,
            Channel::Mail { transport, from, to } => {
                let mail = mail(message, from, to).map_err(|error| error.to_string())?;
                let transport = transport.clone();
                let sent = tokio::task::spawn_blocking(move || transport.send(&mail)).await;
                sent.map_err(|_| "sending mail panicked".to_owned())?.map(drop).map_err(|error| error.to_string())
            }
        }
    }
}

fn server(config: &ChannelConfig) -> Option<(&str, u16)> {
    let (host, port) = config.smtp.as_deref()?.rsplit_once(':')?;
    Some((host, port.parse().ok()?))
}

fn mail(message: &Message, from: &Mailbox, to: &[Mailbox]) -> Result<lettre::Message, lettre::error::Error> {
    let mut mail = lettre::Message::builder().from(from.clone()).subject(message.subject());
    for to in to {
        mail = mail.to(to.clone());
    }
    mail.singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(message.text()))
}

fn signature(secret: &[u8], body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return String::new() };
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}
