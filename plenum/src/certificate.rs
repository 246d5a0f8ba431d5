//! Who we are in TLS: the certificate that is configured, or one of our own making.
//!
//! Our own is made at first start, kept in the data folder, and made anew when
//! it has expired or lacks an address that is listened on. It is good for
//! trying things out; clients have to be told to trust it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::config::Settings;

/// Days for which our own certificate is good.
const VALID_DAYS: i64 = 730;
/// Our own is made anew when it has fewer days left at a start.
const RENEW_DAYS: i64 = 14;
/// Roots of Debian and its like.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    /// A file cannot be used.
    #[error("{setting}: {path}: {problem}")]
    File {
        setting: &'static str,
        path: PathBuf,
        problem: String,
    },
    /// Our own could not be made.
    #[error("cannot make a certificate in {path}: {problem}")]
    Make { path: PathBuf, problem: String },
    /// Certificate and key are not a pair, or of a kind that TLS does not know.
    #[error("tls.certificate and tls.key: {0}")]
    Unusable(#[from] rustls::Error),
}

/// Certificate chain and key.
#[derive(Debug)]
pub(crate) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// What a certificate says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Facts {
    /// First second, Unix time.
    pub(crate) not_before: i64,
    /// Last second, Unix time.
    pub(crate) not_after: i64,
    /// Addresses it is for.
    pub(crate) addresses: Vec<IpAddr>,
    /// Names it is for.
    pub(crate) names: Vec<String>,
}

impl Facts {
    /// Whole days left; negative when it has expired.
    pub(crate) fn days_left(&self, now_unix_s: i64) -> i64 {
        (self.not_after - now_unix_s).div_euclid(86_400)
    }
}

impl Identity {
    fn read(
        settings: [&'static str; 2],
        certificate: &Path,
        key: &Path,
    ) -> Result<Self, CertificateError> {
        let problem = |setting, path: &Path| {
            let path = path.to_owned();
            move |problem: String| CertificateError::File {
                setting,
                path,
                problem,
            }
        };
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| problem(settings[0], certificate)(error.to_string()))?;
        if chain.is_empty() {
            let none = "no certificate (PEM) in it".to_owned();
            return Err(problem(settings[0], certificate)(none));
        }
        let key = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| problem(settings[1], key)(error.to_string()))?;
        Ok(Self { chain, key })
    }

    /// What the first certificate says; `None` when it is not X.509.
    pub(crate) fn facts(&self) -> Option<Facts> {
        let (_, certificate) = X509Certificate::from_der(self.chain.first()?).ok()?;
        let validity = certificate.validity();
        let mut facts = Facts {
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
            addresses: Vec::new(),
            names: Vec::new(),
        };
        let alternative = certificate.subject_alternative_name().ok().flatten();
        for name in alternative
            .iter()
            .flat_map(|names| &names.value.general_names)
        {
            match name {
                GeneralName::DNSName(name) => facts.names.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => {
                    let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
                    let v6 = <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
                    facts.addresses.extend(v4.or(v6));
                }
                _ => {}
            }
        }
        Some(facts)
    }

    /// For connections to us.
    ///
    /// # Errors
    /// [`CertificateError::Unusable`].
    pub(crate) fn server(&self) -> Result<Arc<rustls::ServerConfig>, CertificateError> {
        let config = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())?;
        Ok(Arc::new(config))
    }

    /// For connections from us: trusts the configured roots, else the system's,
    /// and itself.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub(crate) fn client(
        &self,
        settings: &Settings,
    ) -> Result<Arc<rustls::ClientConfig>, CertificateError> {
        let mut roots = rustls::RootCertStore::empty();
        let configured = settings.tls.trust.get();
        let file = configured.unwrap_or(Path::new(SYSTEM_ROOTS));
        match CertificateDer::pem_file_iter(file) {
            Ok(certificates) => {
                // A bundle may hold kinds that rustls does not know; the rest counts.
                roots.add_parsable_certificates(certificates.filter_map(Result::ok));
            }
            Err(error) if configured.is_some() => {
                return Err(CertificateError::File {
                    setting: "tls.trust",
                    path: file.to_owned(),
                    problem: error.to_string(),
                });
            }
            Err(_) => tracing::info!("no system certificates: calls out over TLS trust only us"),
        }
        roots.add_parsable_certificates(self.chain.iter().cloned());
        let config = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}

/// Named here, because dependencies bring others along.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Paths of our own certificate and key.
fn own_paths(data_dir: &Path) -> (PathBuf, PathBuf) {
    (
        data_dir.join("certificate.pem"),
        data_dir.join("certificate.key"),
    )
}

/// The configured certificate, or our own if there is one already.
///
/// # Errors
/// [`CertificateError`].
pub(crate) fn existing(settings: &Settings) -> Result<Option<Identity>, CertificateError> {
    let tls = &settings.tls;
    if let (Some(certificate), Some(key)) = (tls.certificate.get(), tls.key.get()) {
        return Identity::read(["tls.certificate", "tls.key"], certificate, key).map(Some);
    }
    let (certificate, key) = own_paths(&settings.general.data_dir);
    if !certificate.exists() || !key.exists() {
        return Ok(None);
    }
    Identity::read(["data_dir", "data_dir"], &certificate, &key).map(Some)
}

/// The configured certificate, or our own, made where there is none that will do.
///
/// # Errors
/// [`CertificateError`].
pub(crate) fn load_or_make(
    settings: &Settings,
    addresses: &[IpAddr],
    host_name: Option<&str>,
    now_unix_s: i64,
) -> Result<Identity, CertificateError> {
    let configured = settings.tls.certificate.get().is_some();
    match existing(settings) {
        Ok(Some(identity)) if configured || will_do(&identity, addresses, now_unix_s) => {
            return Ok(identity);
        }
        Err(error) if configured => return Err(error),
        Err(error) => tracing::warn!(%error, "our certificate cannot be read, making another"),
        Ok(Some(_)) => tracing::info!("our certificate is out of date, making another"),
        Ok(None) => tracing::info!("making a self-signed certificate"),
    }
    let data_dir = &settings.general.data_dir;
    make(data_dir, addresses, host_name, now_unix_s).map_err(|problem| CertificateError::Make {
        path: data_dir.clone(),
        problem,
    })?;
    let (certificate, key) = own_paths(data_dir);
    Identity::read(["data_dir", "data_dir"], &certificate, &key)
}

fn will_do(identity: &Identity, addresses: &[IpAddr], now_unix_s: i64) -> bool {
    identity.facts().is_some_and(|facts| {
        facts.not_before <= now_unix_s
            && facts.days_left(now_unix_s) >= RENEW_DAYS
            && addresses.iter().all(|ip| facts.addresses.contains(ip))
    })
}

fn make(
    data_dir: &Path,
    addresses: &[IpAddr],
    host_name: Option<&str>,
    now_unix_s: i64,
) -> Result<(), String> {
    let mut names = vec!["localhost".to_owned()];
    names.extend(
        host_name
            .filter(|name| *name != "localhost")
            .map(str::to_owned),
    );
    let common_name = names.last().cloned().unwrap_or_default();
    names.extend(addresses.iter().map(ToString::to_string));
    let mut params = rcgen::CertificateParams::new(names).map_err(|error| error.to_string())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(
        rcgen::DnType::CommonName,
        format!("Plenum on {common_name}"),
    );
    let day = |days: i64| rcgen_time(now_unix_s + days * 86_400);
    // A day back: clocks differ.
    params.not_before = day(-1).ok_or("the clock is wrong")?;
    params.not_after = day(VALID_DAYS).ok_or("the clock is wrong")?;
    params.extended_key_usages = vec![
        rcgen::ExtendedKeyUsagePurpose::ServerAuth,
        rcgen::ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let key = rcgen::KeyPair::generate().map_err(|error| error.to_string())?;
    let certificate = params
        .self_signed(&key)
        .map_err(|error| error.to_string())?;
    let (certificate_path, key_path) = own_paths(data_dir);
    let written = write_private(&key_path, key.serialize_pem().as_bytes())
        .and_then(|()| write_private(&certificate_path, certificate.pem().as_bytes()));
    written.map_err(|error| error.to_string())
}

/// A date for rcgen, which has it in a library of its own choice.
pub(crate) fn rcgen_time(unix_s: i64) -> Option<time::OffsetDateTime> {
    time::OffsetDateTime::from_unix_timestamp(unix_s).ok()
}

/// Makes a folder that only we may look into, where there is none.
pub(crate) fn make_private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// Writes a file that only we may read, all of it or nothing.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("new");
    // Whatever is left there of an earlier try may have other permissions.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> (Self, Settings) {
            let name = format!("plenum-certificate-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            let mut settings = Settings::default();
            settings.general.data_dir.clone_from(&path);
            (Self(path), settings)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn our_own_is_made_once_kept_secret_and_names_all_addresses() {
        let (folder, settings) = Folder::new("made");
        let addresses = ips(&["127.0.0.1", "::1"]);
        let made = load_or_make(&settings, &addresses, Some("box.example"), NOW).unwrap();
        let facts = made.facts().unwrap();
        assert_eq!(facts.addresses, addresses);
        assert_eq!(facts.names, ["localhost", "box.example"]);
        assert_eq!(facts.days_left(NOW), VALID_DAYS);
        let mode = fs::metadata(folder.0.join("certificate.key")).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
        made.server().unwrap();
        made.client(&settings).unwrap();
        let again = load_or_make(&settings, &addresses, None, NOW).unwrap();
        assert_eq!(again.chain, made.chain);
    }

    #[test]
    fn it_is_made_anew_when_it_expires_or_lacks_an_address() {
        let (_folder, settings) = Folder::new("renewed");
        let addresses = ips(&["127.0.0.1"]);
        let first = load_or_make(&settings, &addresses, None, NOW).unwrap();
        let almost = NOW + (VALID_DAYS - RENEW_DAYS + 1) * 86_400;
        let second = load_or_make(&settings, &addresses, None, almost).unwrap();
        assert_ne!(first.chain, second.chain);
        let more = ips(&["127.0.0.1", "192.0.2.9"]);
        let third = load_or_make(&settings, &more, None, almost).unwrap();
        assert_ne!(second.chain, third.chain);
        assert_eq!(third.facts().unwrap().addresses, more);
    }

    #[test]
    fn a_configured_one_is_never_replaced() {
        let (folder, mut settings) = Folder::new("configured");
        let file = folder.0.join("mine.toml");
        let toml = format!(
            "data_dir = {0:?}\n[tls]\ncertificate = {1:?}\nkey = {1:?}\n",
            folder.0,
            folder.0.join("mine.pem")
        );
        fs::write(&file, &toml).unwrap();
        settings.tls = crate::config::Config::from_toml(&toml).unwrap().tls;
        let error = load_or_make(&settings, &[], None, NOW)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("tls.certificate: "), "{error}");
        fs::write(folder.0.join("mine.pem"), "nothing").unwrap();
        let error = load_or_make(&settings, &[], None, NOW)
            .unwrap_err()
            .to_string();
        assert!(error.contains("no certificate"), "{error}");
        assert!(!folder.0.join("certificate.pem").exists());
    }
}
