//! The algorithms and sizes of the transport (RFC 4253).

use super::offer::Ours;
use crate::door::MAX_LOGIN_ATTEMPTS;
use crate::host_keys::HostKeys;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{MethodKind, MethodSet, Preferred, SshId, cipher, compression, kex, mac, server};
use std::borrow::Cow;
use std::time::Duration;

/// Post-quantum first; elliptic curves of NIST for clients that have no other; no finite fields, which are slow, and no
/// SHA-1.
const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];

/// AES-GCM first: it costs half of what ChaCha20-Poly1305 costs on this hardware. The client's order decides, though.
const CIPHERS: &[cipher::Name] =
    &[cipher::AES_128_GCM, cipher::AES_256_GCM, cipher::CHACHA20_POLY1305, cipher::AES_256_CTR, cipher::AES_128_CTR];

const MACS: &[mac::Name] = &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA512];

/// The signature algorithms for host keys, and for users' keys. RSA without SHA-1.
const KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// The names that are offered, to tell what a client and we agree on.
pub(super) const OURS: Ours = Ours {
    kex: |name| KEX.iter().any(|ours| ours.as_ref() == name),
    cipher: |name| CIPHERS.iter().any(|ours| ours.as_ref() == name),
};

/// Whether a user's key may be used with this algorithm.
pub(super) fn accepts(algorithm: &Algorithm) -> bool {
    KEYS.contains(algorithm)
}

/// What one channel may send before it is told to go on. More gave nothing at short distances; over long ones it is the
/// ceiling of an upload: this much each round trip.
const WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// What a client may put into one packet: a WRITE of 32 KiB with its header in one piece. In two, the second waits for our
/// delayed acknowledgement at clients that do not switch Nagle's algorithm off (paramiko): 40 ms a WRITE.
const PACKET_BYTES: u32 = 65_535;

/// A refused login takes at least this long, whatever the reason. The first question of every client, the method
/// `none`, is answered at once.
const REJECTION_TIME: Duration = Duration::from_millis(500);

/// Nothing received for so long, not even an answer to a keepalive: the connection is dead.
const DEAD_AFTER: Duration = Duration::from_secs(600);

const KEEPALIVE: Duration = Duration::from_secs(45);

/// The settings for the SSH library.
pub(super) fn config(keys: &HostKeys) -> server::Config {
    server::Config {
        server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-Towpath")),
        methods: MethodSet::from(&[MethodKind::PublicKey, MethodKind::Password][..]),
        auth_rejection_time: REJECTION_TIME,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: keys.private_keys(),
        window_size: WINDOW_BYTES,
        maximum_packet_size: PACKET_BYTES,
        // nobody reads these queues (see `crate::sftp`)
        channel_buffer_size: 1,
        // packets of output between an engine and the connection
        event_buffer_size: 16,
        preferred: Preferred {
            kex: Cow::Borrowed(KEX),
            key: Cow::Borrowed(KEYS),
            cipher: Cow::Borrowed(CIPHERS),
            mac: Cow::Borrowed(MACS),
            compression: Cow::Borrowed(&[compression::NONE]),
            ..Preferred::DEFAULT
        },
        max_auth_attempts: MAX_LOGIN_ATTEMPTS,
        inactivity_timeout: Some(DEAD_AFTER),
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: 4,
        nodelay: true,
        // re-exchanges keys after 1 GiB or an hour (RFC 4253, section 9)
        limits: russh::Limits::default(),
        ..server::Config::default()
    }
}
