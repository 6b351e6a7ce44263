//! Certificates made for one test, in files as the program reads them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use inferometer::tls::Identity;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// A folder of one test's own.
pub(crate) fn folder() -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Signs certificates.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let folder = folder();
        params.distinguished_name.push(DnType::CommonName, folder.display().to_string());
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("a certificate"), folder }
    }

    /// Its own certificate.
    pub(crate) fn file(&self) -> PathBuf {
        let path = self.folder.join("ca.pem");
        std::fs::write(&path, self.issuer.pem()).expect("a file");
        path
    }

    /// A certificate for these names, valid now.
    pub(crate) fn identity(&self, names: &[&str]) -> Identity {
        self.sign(names, |_| {})
    }

    /// One that was valid long ago.
    pub(crate) fn expired(&self, names: &[&str]) -> Identity {
        self.sign(names, |params| {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        })
    }

    /// One that ends in so many days, more or less one.
    pub(crate) fn ending_in_days(&self, names: &[&str], days: i64) -> Identity {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a date");
        let today = inferometer::history::Day::of(i64::try_from(now.as_millis()).expect("a date"));
        let end = inferometer::history::Day(today.0 + days).to_string();
        let mut parts = end.split('-').map(|part| part.parse::<u16>().expect("a number"));
        let [year, month, day] = std::array::from_fn(|_| parts.next().expect("three parts"));
        self.sign(names, |params| params.not_after = date_time_ymd(year.into(), month as u8, day as u8))
    }

    fn sign(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("parameters");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let folder = folder();
        let identity = Identity { cert_file: folder.join("cert.pem"), key_file: folder.join("key.pem") };
        std::fs::write(&identity.cert_file, certificate.pem()).expect("a file");
        std::fs::write(&identity.key_file, key.serialize_pem()).expect("a file");
        identity
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a root");
        roots
    }

    /// A client that trusts this authority.
    pub(crate) fn client(&self, identity: Option<&Identity>, alpn: &[&str]) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.expect("versions").with_root_certificates(self.roots());
        let mut config = match identity {
            Some(identity) => {
                let (chain, key) = parts(identity);
                builder.with_client_auth_cert(chain, key).expect("a pair")
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// A server with this certificate; it wants one of its clients where `wants` signs those.
    pub(crate) fn server(identity: &Identity, wants: Option<&Self>) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = match wants {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let roots = Arc::new(authority.roots());
                let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                builder.with_client_cert_verifier(verifier.expect("a verifier"))
            }
        };
        let (chain, key) = parts(identity);
        let mut config = builder.with_single_cert(chain, key).expect("a pair");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

fn parts(identity: &Identity) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_file_iter(&identity.cert_file).expect("a file").map(|one| one.expect("PEM"));
    (chain.collect(), PrivateKeyDer::from_pem_file(&identity.key_file).expect("a key"))
}
