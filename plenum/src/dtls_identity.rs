//! The certificate that browsers know us by in DTLS (RFC 5763).
//!
//! No authority vouches for it: its fingerprint goes through the signalling,
//! which TLS protects. It is made at the first start and kept in the data
//! folder, so that the fingerprint in a browser's session description outlives
//! every process of ours.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::certificate::{make_private_folder, rcgen_time, write_private};

/// Days for which a new one is good. Browsers look at the fingerprint only.
const VALID_DAYS: i64 = 730;
/// It is made anew when it has fewer days left at a start.
const RENEW_DAYS: i64 = 30;

/// Why there is none.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the certificate for browsers in {folder}: {problem}")]
pub(crate) struct DtlsIdentityError {
    folder: PathBuf,
    problem: String,
}

/// Certificate and key, both DER.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct DtlsIdentity {
    /// X.509, with an ECDSA key on P-256.
    pub(crate) certificate: Vec<u8>,
    /// PKCS #8.
    pub(crate) key: Vec<u8>,
}

impl fmt::Debug for DtlsIdentity {
    /// Keys never reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DtlsIdentity").finish_non_exhaustive()
    }
}

impl DtlsIdentity {
    /// The one in `data_dir`, or a new one where there is none that will do.
    ///
    /// # Errors
    /// [`DtlsIdentityError`]: the folder cannot be made or written to.
    pub(crate) fn load_or_make(
        data_dir: &Path,
        now_unix_s: i64,
    ) -> Result<Self, DtlsIdentityError> {
        let paths = [data_dir.join("browsers.pem"), data_dir.join("browsers.key")];
        match Self::read(&paths) {
            Ok(Some(identity)) if identity.days_left(now_unix_s) >= RENEW_DAYS => {
                return Ok(identity);
            }
            Ok(_) => tracing::info!("making a certificate for browsers"),
            Err(error) => tracing::warn!(error, "the certificate for browsers is made anew"),
        }
        Self::make(data_dir, &paths, now_unix_s).map_err(|problem| DtlsIdentityError {
            folder: data_dir.to_owned(),
            problem,
        })
    }

    /// SHA-256 of the certificate (RFC 8122 section 5).
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.certificate);
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest.as_ref());
        fingerprint
    }

    fn read([certificate, key]: &[PathBuf; 2]) -> Result<Option<Self>, String> {
        if !certificate.exists() || !key.exists() {
            return Ok(None);
        }
        let certificate = CertificateDer::from_pem_file(certificate);
        let key = PrivateKeyDer::from_pem_file(key);
        Ok(Some(Self {
            certificate: certificate.map_err(|error| error.to_string())?.to_vec(),
            key: key
                .map_err(|error| error.to_string())?
                .secret_der()
                .to_vec(),
        }))
    }

    fn days_left(&self, now_unix_s: i64) -> i64 {
        X509Certificate::from_der(&self.certificate).map_or(0, |(_, certificate)| {
            let validity = certificate.validity();
            if validity.not_before.timestamp() > now_unix_s {
                return 0;
            }
            (validity.not_after.timestamp() - now_unix_s).div_euclid(86_400)
        })
    }

    fn make(data_dir: &Path, paths: &[PathBuf; 2], now_unix_s: i64) -> Result<Self, String> {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "Plenum");
        let day = |days: i64| rcgen_time(now_unix_s + days * 86_400);
        // A day back: clocks differ.
        params.not_before = day(-1).ok_or("the clock is wrong")?;
        params.not_after = day(VALID_DAYS).ok_or("the clock is wrong")?;
        let key = rcgen::KeyPair::generate().map_err(|error| error.to_string())?;
        let certificate = params
            .self_signed(&key)
            .map_err(|error| error.to_string())?;
        let [certificate_path, key_path] = paths;
        // The key first: a certificate without its key would be taken for a pair.
        let written = make_private_folder(data_dir)
            .and_then(|()| match fs::remove_file(certificate_path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            })
            .and_then(|()| write_private(key_path, key.serialize_pem().as_bytes()))
            .and_then(|()| write_private(certificate_path, certificate.pem().as_bytes()));
        written.map_err(|error| error.to_string())?;
        Ok(Self {
            certificate: certificate.der().to_vec(),
            key: key.serialize_der(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    #[test]
    fn its_fingerprint_outlives_restarts_until_it_expires() {
        let folder =
            std::env::temp_dir().join(format!("plenum-dtls-identity-{}", std::process::id()));
        let start = |days: i64| DtlsIdentity::load_or_make(&folder, NOW + days * 86_400).unwrap();
        let first = start(0);
        let again = start(VALID_DAYS - RENEW_DAYS);
        assert_eq!(first.fingerprint(), again.fingerprint());
        assert_eq!(first.key, again.key);
        let renewed = start(VALID_DAYS - RENEW_DAYS + 1);
        assert_ne!(first.fingerprint(), renewed.fingerprint());
        // A clock that was set back before the certificate began.
        assert_ne!(start(0).fingerprint(), renewed.fingerprint());
        // Half of a pair, or no pair at all, is none.
        let before = start(0).fingerprint();
        fs::write(folder.join("browsers.pem"), "nothing").unwrap();
        let mended = start(0).fingerprint();
        assert_ne!(mended, before);
        fs::remove_file(folder.join("browsers.key")).unwrap();
        assert_ne!(start(0).fingerprint(), mended);
        assert!(!format!("{:?}", start(0)).contains("key"));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let error = DtlsIdentity::load_or_make(Path::new("/proc/none"), NOW).unwrap_err();
        assert!(error.to_string().contains("/proc/none"), "{error}");
    }
}
