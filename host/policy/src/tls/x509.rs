//! Just enough of X.509 to read what `webpki` does not return: the dates of a certificate
//! of version 1, what it may sign, and the positions of the bytes that say so.
//!
//! Nothing here decides whether a signature is good.

use rustls::pki_types::UnixTime;
use std::ops::Range;
use std::time::{Duration, UNIX_EPOCH};

/// The last part of the identifiers 2.5.29.x of extensions (RFC 5280, 4.2.1).
const KEY_USAGE: u8 = 15;
const SUBJECT_ALTERNATIVE_NAME: u8 = 17;
const BASIC_CONSTRAINTS: u8 = 19;
const NAME_CONSTRAINTS: u8 = 30;
const CRL_DISTRIBUTION_POINTS: u8 = 31;
const CERTIFICATE_POLICIES: u8 = 32;
const EXTENDED_KEY_USAGE: u8 = 37;
/// The last part of an identifier that no extension has.
const UNUSED_ID: u8 = 127;

/// `serverAuth` and `anyExtendedKeyUsage` (RFC 5280, 4.2.1.12).
const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0];

/// `rsaEncryption` (RFC 8017, appendix A.1).
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// A certificate, of which only the outline is read.
pub(super) struct Certificate<'a> {
    der: &'a [u8],
    signed: Range<usize>,
    /// 1, 2 or 3.
    pub(super) version: u8,
    issuer: Range<usize>,
    subject: Range<usize>,
    key: Range<usize>,
    /// The start of its validity; `None` if that is not a date after 1970.
    pub(super) not_before: Option<UnixTime>,
    /// The end of its validity.
    pub(super) not_after: Option<UnixTime>,
    extensions: Vec<Extension>,
}

struct Extension {
    id: Range<usize>,
    /// The position of the byte that makes it critical.
    critical: Option<usize>,
    value: Range<usize>,
}

/// Why a certificate may not issue another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    Expired(UnixTime),
    NotYet(UnixTime),
    NoAuthority,
    NoCertSign,
    NotForServers,
    Critical,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate; `None` if it is not one.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let reader = Reader { der, rest: 0..der.len() };
        let mut outer = reader.clone().only(SEQUENCE)?;
        let signed = outer.next(SEQUENCE)?;
        outer.next(SEQUENCE)?;
        outer.next(BIT_STRING)?;
        let mut tbs = outer.within(&signed);
        let version = match tbs.next_if(VERSION) {
            None => 1,
            Some(version) => match tbs.within(&version).bytes(INTEGER)? {
                [number @ 0..=2] => number + 1,
                _ => return None,
            },
        };
        tbs.next(INTEGER)?;
        tbs.next(SEQUENCE)?;
        let issuer = tbs.next(SEQUENCE)?.whole;
        let validity = tbs.next(SEQUENCE)?;
        let mut validity = tbs.within(&validity);
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        let subject = tbs.next(SEQUENCE)?.whole;
        let key = tbs.next(SEQUENCE)?.whole;
        let mut extensions = Vec::new();
        while !tbs.rest.is_empty() {
            let element = tbs.any()?;
            if element.tag == EXTENSIONS {
                let mut list = tbs.within(&element).only(SEQUENCE)?;
                while !list.rest.is_empty() {
                    extensions.push(list.extension()?);
                }
            }
        }
        let signed = signed.whole;
        Some(Self { der, signed, version, issuer, subject, key, not_before, not_after, extensions })
    }

    /// Returns what its issuer has signed.
    pub(super) fn signed(&self) -> &'a [u8] {
        &self.der[self.signed.clone()]
    }

    /// Returns the name of its issuer, in DER.
    pub(super) fn issuer(&self) -> &'a [u8] {
        &self.der[self.issuer.clone()]
    }

    /// Returns its own name, in DER.
    pub(super) fn subject(&self) -> &'a [u8] {
        &self.der[self.subject.clone()]
    }

    /// Returns its key with the algorithm, in DER.
    pub(super) fn key(&self) -> &'a [u8] {
        &self.der[self.key.clone()]
    }

    /// Returns the length of its key in bits, if it is an RSA key.
    pub(super) fn rsa_bits(&self) -> Option<usize> {
        let mut key = Reader { der: self.der, rest: self.key.clone() }.only(SEQUENCE)?;
        let algorithm = key.next(SEQUENCE)?;
        let is_rsa = key.within(&algorithm).bytes(OBJECT_IDENTIFIER)? == RSA;
        let point = key.bytes(BIT_STRING)?;
        is_rsa.then(|| rsa_bits(point.get(1..)?)).flatten()
    }

    fn extension(&self, id: u8) -> Option<&Extension> {
        self.extensions.iter().find(|extension| self.is(extension, id))
    }

    fn is(&self, extension: &Extension, id: u8) -> bool {
        self.der[extension.id.clone()] == [0x55, 0x1d, id]
    }

    fn value(&self, id: u8) -> Option<Reader<'a>> {
        self.extension(id).map(|extension| Reader { der: self.der, rest: extension.value.clone() })
    }

    /// Checks whether it may issue servers' certificates at this time, by the rules that Go
    /// has for its trusted certificates.
    pub(super) fn vouches(&self, now: UnixTime) -> Result<(), Unfit> {
        if let Some(end) = self.not_after.filter(|end| *end < now) {
            return Err(Unfit::Expired(end));
        }
        if let Some(begin) = self.not_before.filter(|begin| *begin > now) {
            return Err(Unfit::NotYet(begin));
        }
        let is_authority = match self.value(BASIC_CONSTRAINTS) {
            None => self.version < 3,
            Some(value) => value.only(SEQUENCE).is_some_and(|mut rest| {
                rest.next_if(BOOLEAN).is_some_and(|flag| self.der[flag.content] == [0xff])
            }),
        };
        if !is_authority {
            return Err(Unfit::NoAuthority);
        }
        // The first byte counts unused bits; keyCertSign is the sixth bit.
        let usage = self.value(KEY_USAGE).map(|mut value| value.bytes(BIT_STRING));
        if usage.is_some_and(|bits| !matches!(bits, Some([_, first, ..]) if first & 0x04 != 0)) {
            return Err(Unfit::NoCertSign);
        }
        if self.value(EXTENDED_KEY_USAGE).is_some_and(|usages| !allows_servers(usages)) {
            return Err(Unfit::NotForServers);
        }
        let known = [
            KEY_USAGE,
            SUBJECT_ALTERNATIVE_NAME,
            BASIC_CONSTRAINTS,
            NAME_CONSTRAINTS,
            CRL_DISTRIBUTION_POINTS,
            CERTIFICATE_POLICIES,
            EXTENDED_KEY_USAGE,
        ];
        let is_known = |extension: &Extension| known.iter().any(|&id| self.is(extension, id));
        if self.extensions.iter().all(|e| e.critical.is_none() || is_known(e)) {
            Ok(())
        } else {
            Err(Unfit::Critical)
        }
    }

    /// Returns the same certificate with two changes: policies are not critical, because no
    /// client looks for them, and an extended key usage that allows everything restricts
    /// nothing, because `webpki` does not know this usage.
    pub(super) fn as_go_reads_it(&self) -> Vec<u8> {
        let mut der = self.der.to_vec();
        if let Some(at) = self.extension(CERTIFICATE_POLICIES).and_then(|found| found.critical) {
            der[at] = 0;
        }
        let usage = self.extension(EXTENDED_KEY_USAGE);
        let is_any =
            self.value(EXTENDED_KEY_USAGE).is_some_and(|u| usages(u).any(|id| id == ANY_USAGE));
        if let (true, Some(Extension { id, critical, .. })) = (is_any, usage) {
            der[id.end - 1] = UNUSED_ID;
            if let Some(at) = critical {
                der[*at] = 0;
            }
        }
        der
    }

    /// Returns the same, except that it is not an authority's either. This removes a right,
    /// and adds none.
    pub(super) fn as_leaf(&self) -> Vec<u8> {
        let mut der = self.as_go_reads_it();
        let flag =
            self.value(BASIC_CONSTRAINTS).and_then(|value| value.only(SEQUENCE)?.next_if(BOOLEAN));
        if let Some(at) = flag.and_then(|flag| flag.content.last()) {
            der[at] = 0;
        }
        der
    }
}

/// Returns whether these bytes are one sequence and nothing else, as every file in DER is.
pub(super) fn is_sequence(bytes: &[u8]) -> bool {
    Reader { der: bytes, rest: 0..bytes.len() }.only(SEQUENCE).is_some()
}

/// Returns the length of the modulus of an RSA public key in PKCS#1, in bits.
pub(super) fn rsa_bits(key: &[u8]) -> Option<usize> {
    let mut numbers = Reader { der: key, rest: 0..key.len() }.only(SEQUENCE)?;
    let modulus = numbers.bytes(INTEGER)?;
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let first = modulus.get(zeros)?;
    Some((modulus.len() - zeros) * 8 - first.leading_zeros() as usize)
}

fn allows_servers(value: Reader<'_>) -> bool {
    usages(value).any(|id| id == SERVER_AUTH || id == ANY_USAGE)
}

/// Iterates over the usages that an extension lists.
fn usages(value: Reader<'_>) -> impl Iterator<Item = &[u8]> {
    let mut list = value.only(SEQUENCE);
    std::iter::from_fn(move || list.as_mut()?.bytes(OBJECT_IDENTIFIER))
}

/// Reads one DER element after another.
#[derive(Clone)]
struct Reader<'a> {
    der: &'a [u8],
    rest: Range<usize>,
}

struct Element {
    tag: u8,
    whole: Range<usize>,
    content: Range<usize>,
}

impl<'a> Reader<'a> {
    fn within(&self, element: &Element) -> Self {
        Self { der: self.der, rest: element.content.clone() }
    }

    /// Returns the content of the only element.
    fn only(mut self, tag: u8) -> Option<Self> {
        let element = self.next(tag)?;
        self.rest.is_empty().then(|| self.within(&element))
    }

    fn any(&mut self) -> Option<Element> {
        let begin = self.rest.start;
        let [tag, first, more @ ..] = self.der.get(self.rest.clone())? else { return None };
        let (length, digits) = match first {
            0..=0x7f => (usize::from(*first), 0),
            0x81..=0x84 => {
                let digits = usize::from(first & 0x7f);
                let length = more.get(..digits)?;
                (length.iter().fold(0, |n, &digit| n << 8 | usize::from(digit)), digits)
            }
            _ => return None,
        };
        let content = begin + 2 + digits..(begin + 2 + digits).checked_add(length)?;
        if content.end > self.rest.end {
            return None;
        }
        self.rest.start = content.end;
        Some(Element { tag: *tag, whole: begin..content.end, content })
    }

    fn next(&mut self, tag: u8) -> Option<Element> {
        self.any().filter(|element| element.tag == tag)
    }

    fn next_if(&mut self, tag: u8) -> Option<Element> {
        let is_next = self.der.get(self.rest.clone())?.first() == Some(&tag);
        is_next.then(|| self.any()).flatten()
    }

    fn bytes(&mut self, tag: u8) -> Option<&'a [u8]> {
        let element = self.next(tag)?;
        Some(&self.der[element.content])
    }

    fn extension(&mut self) -> Option<Extension> {
        let extension = self.next(SEQUENCE)?;
        let mut parts = self.within(&extension);
        let id = parts.next(OBJECT_IDENTIFIER)?.content;
        let flag = parts.next_if(BOOLEAN).and_then(|flag| flag.content.last());
        let critical = flag.filter(|&at| self.der[at] != 0);
        Some(Extension { id, critical, value: parts.next(OCTET_STRING)?.content })
    }

    /// Reads a date. The inner option is `None` if no clock here can have that date.
    fn time(&mut self) -> Option<Option<UnixTime>> {
        let time = self.any()?;
        let digits = std::str::from_utf8(&self.der[time.content]).ok()?;
        let digits = match time.tag {
            // Two digits of the year, up to 2049 (RFC 5280, 4.1.2.5.1).
            UTC_TIME if digits.get(..2)? < "50" => format!("20{digits}"),
            UTC_TIME => format!("19{digits}"),
            GENERALIZED_TIME => digits.to_owned(),
            _ => return None,
        };
        let part = |range: Range<usize>| digits.get(range);
        let (date, clock) =
            ((part(0..4)?, part(4..6)?, part(6..8)?), (part(8..10)?, part(10..12)?));
        let text =
            format!("{}-{}-{}T{}:{}:{}Z", date.0, date.1, date.2, clock.0, clock.1, part(12..14)?);
        let time = humantime::parse_rfc3339(&text).ok();
        let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Some(since.map(UnixTime::since_unix_epoch))
    }
}

/// Formats a time for people, in UTC.
pub(super) fn date(time: UnixTime) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(time.as_secs()));
    time.map_or("a day beyond all calendars".into(), |time| {
        humantime::format_rfc3339_seconds(time).to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair,
        KeyUsagePurpose, PKCS_RSA_SHA256, date_time_ymd,
    };

    fn certificate() -> Vec<u8> {
        let mut params = CertificateParams::new(["node1".to_owned()]).expect("names");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = date_time_ymd(1999, 12, 31);
        params.not_after = date_time_ymd(2050, 1, 1);
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key");
        params.self_signed(&key).expect("signed").der().to_vec()
    }

    #[test]
    fn the_outline_of_a_certificate_is_read() {
        let der = certificate();
        let read = Certificate::read(&der).expect("a certificate");
        assert_eq!((read.version, read.rsa_bits()), (3, Some(2048)));
        assert_eq!(read.issuer(), read.subject());
        assert_eq!(read.not_before.map(date), Some("1999-12-31T00:00:00Z".into()));
        assert_eq!(read.not_after.map(date), Some("2050-01-01T00:00:00Z".into()));
        assert_eq!(read.vouches(UnixTime::now()), Ok(()));
        assert_eq!(read.as_go_reads_it(), der);
    }

    #[test]
    fn as_a_leaf_it_differs_in_one_byte_and_cannot_issue_certificates() {
        let der = certificate();
        let leaf = Certificate::read(&der).expect("a certificate").as_leaf();
        assert_eq!(der.iter().zip(&leaf).filter(|(one, two)| one != two).count(), 1);
        let leaf = Certificate::read(&leaf).expect("a certificate");
        assert_eq!(leaf.vouches(UnixTime::now()), Err(Unfit::NoAuthority));
    }

    #[test]
    fn damaged_certificates_do_not_panic() {
        let der = certificate();
        let look = |bytes: &[u8]| {
            is_sequence(bytes);
            rsa_bits(bytes);
            if let Some(read) = Certificate::read(bytes) {
                let _ = (read.rsa_bits(), read.vouches(UnixTime::now()), read.as_leaf());
            }
        };
        (0..der.len()).for_each(|length| look(&der[..length]));
        for at in 0..der.len() {
            for value in [0, 1, 0x30, 0x7f, 0x80, 0x84, 0xff] {
                let mut damaged = der.clone();
                damaged[at] = value;
                look(&damaged);
            }
        }
    }
}
