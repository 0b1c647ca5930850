import CLibCrypto
import Cryptography
import Testing

@Suite struct CertificateTests {
    @Test func readsWhatItNeeds() throws {
        let root = try TestAuthority("C=CH, O=Example, CN=Root")
        var content = TestCertificate(subject: "C=CH, O=Example, CN=moon", key: .p384)
        content.subjectAlternativeNames =
            "DNS:moon.example.org,email:carol@example.org,IP:192.0.2.1,IP:2001:db8::1,URI:https://example.org/"
        content.keyUsage = "digitalSignature"
        content.revocationSource = "URI:http://example.org/root.crl"
        let moon = try root.issue(content)
        #expect(moon.subject.description == "C=CH, O=Example, CN=moon")
        #expect(moon.issuer == root.certificate.subject)
        #expect(moon.validity == TestAuthority.now - 1000...TestAuthority.now + 1000)
        #expect(
            moon.subjectAlternativeNames == [
                .dns("moon.example.org"), .email("carol@example.org"), .ipv4([192, 0, 2, 1]),
                .ipv6([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), .uri("https://example.org/"),
            ])
        #expect(moon.namesRevocationSource && !root.certificate.namesRevocationSource)
        #expect(!moon.isAuthority && root.certificate.isAuthority)
        #expect(!moon.isSelfIssued && root.certificate.isSelfIssued)
        #expect(moon.maySign && !root.certificate.maySign)
        #expect(!moon.serialNumber.isEmpty && moon.serialNumber.allSatisfy(\.isHexDigit))
        let key = try moon.publicKey()
        #expect(key == (try TestKey.p384.privateKey().publicKey))
        #expect(moon.publicKeyHash == key.keyHash)
        #expect(try Certificate(der: moon.der) == moon)
    }

    @Test func readsFilesOfEveryKind() throws {
        let (one, two) = (try TestAuthority("CN=One").certificate, try TestAuthority("CN=Two").certificate)
        let text = Array("Comment: first\n".utf8) + pem(one) + Array("\nsecond:\n".utf8) + pem(two)
        #expect(try Certificate.read(text) == [one, two])
        #expect(try Certificate.read(one.der) == [one])
        #expect(throws: CertificateError.unreadable(what: "certificate", reason: "no certificate in it")) {
            try Certificate.read(Array("nothing".utf8))
        }
        for bad in [[], Array(one.der.dropLast()), one.der + [0], Array(one.der.dropFirst())] {
            #expect(throws: CertificateError.self) { try Certificate(der: bad) }
        }
        // A bundle with a damaged part is not taken for a shorter one.
        var damaged = text
        let middle = text.count - 100
        damaged.replaceSubrange(middle..<middle + 4, with: Array("!!!!".utf8))
        #expect(throws: CertificateError.self) { try Certificate.read(damaged) }
        #expect(throws: CertificateError.self) { try Certificate.read(Array(text.dropLast(60))) }
        #expect(throws: CertificateError.unreadable(what: "CRL", reason: "no CRL in it")) {
            try RevocationList.read(one.der)
        }
    }

    /// Every cut and every flipped byte of a certificate is read or refused, never a crash.
    @Test func survivesDamage() throws {
        let der = try TestAuthority("CN=One").certificate.der
        for index in der.indices {
            var damaged = der
            damaged[index] ^= 0xff
            _ = try? Certificate(der: damaged).publicKey()
            #expect(throws: CertificateError.self) { try Certificate(der: Array(der[..<index])) }
        }
    }

    @Test func certifiesIdentities() throws {
        var content = TestCertificate(subject: "C=CH, O=Example, CN=moon")
        content.subjectAlternativeNames = "DNS:moon.example.org,email:carol@example.org,IP:192.0.2.1"
        let moon = try TestAuthority("CN=Root").issue(content)
        func name(_ text: String) throws -> SubjectAlternativeName {
            .directoryName(try #require(DistinguishedName(text)))
        }
        for good in [
            .dns("moon.example.org"), .dns("MOON.example.org"), .email("carol@example.org"), .ipv4([192, 0, 2, 1]),
            try name("C=CH, O=Example, CN=moon"),
        ] { #expect(moon.certifies(good), "\(good)") }
        for bad in [
            .dns("sun.example.org"), .dns("carol@example.org"), .dns("moon"), .email("moon.example.org"),
            .ipv4([192, 0, 2, 2]), try name("C=CH, O=Example, CN=sun"), try name("C=CH, O=Example"),
        ] { #expect(!moon.certifies(bad), "\(bad)") }
    }

    @Test func distinguishedNamesFromText() throws {
        let name = try #require(DistinguishedName("C=CH, O=Example\\, Inc., CN=moon, E=m@example.org"))
        #expect(name.description == "C=CH, O=Example\\, Inc., CN=moon, emailAddress=m@example.org")
        #expect(DistinguishedName("/C=CH/O=Example\\, Inc./CN=moon/emailAddress=m@example.org") == name)
        #expect(DistinguishedName(der: name.der) == name)
        #expect(DistinguishedName("c = CH , cn = moon") == DistinguishedName("C=CH,CN=moon"))
        for bad in ["", "moon", "C=CH,", "C=CH, moon", "NOTYPE=1", "C=", "=CH", "C=CH\\"] {
            #expect(DistinguishedName(bad) == nil, "\(bad)")
        }
        #expect(DistinguishedName(der: []) == nil)
        #expect(DistinguishedName(der: name.der + [0]) == nil)
    }

    /// The same name as PrintableString and as UTF8String: other DER, same meaning.
    @Test func distinguishedNamesMatchAcrossStringTypes() throws {
        let printable = try #require(DistinguishedName(der: bytes("300f310d300b060355040313046d6f6f6e")))
        let utf8 = try #require(DistinguishedName(der: bytes("300f310d300b06035504030c046d6f6f6e")))
        #expect(printable.description == "CN=moon")
        #expect(printable != utf8)
        #expect(printable.matches(utf8) && utf8.matches(printable))
        #expect(try !printable.matches(#require(DistinguishedName("CN=sun"))))
    }
}
