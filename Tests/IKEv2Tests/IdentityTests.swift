import Cryptography
import IKEv2Messages
import Packets
import Testing

@testable import IKEv2

@Suite struct IdentityTests {
    private func name(_ text: String) throws -> Identity {
        .distinguishedName(try #require(DistinguishedName(text)))
    }

    @Test func textIsReadByStrongSwansRules() throws {
        let cases: [(String, Identity)] = [
            ("%any", .any), ("", .any), ("0.0.0.0", .any), ("moon.example.org", .domainName("moon.example.org")),
            ("@moon", .domainName("moon")), ("fqdn:10.0.0.1", .domainName("10.0.0.1")),
            ("moon@example.org", .email("moon@example.org")), ("@@moon", .email("moon")),
            ("email:moon", .email("moon")), ("192.0.2.1", .address(IPAddress(ipv4: 0xC000_0201))),
            ("2001:db8::1", .address(IPAddress(ipv6High: 0x2001_0db8_0000_0000, low: 1))),
            ("ipv4:192.0.2.1", .address(IPAddress(ipv4: 0xC000_0201))), ("@#c0ffee", .keyID([0xC0, 0xFF, 0xEE])),
            ("keyid:0xc0ffee", .keyID([0xC0, 0xFF, 0xEE])), ("keyid:abc", .keyID([97, 98, 99])),
            ("keyid:0xabc", .keyID([0x0A, 0xBC])), ("0::0", .any), ("::", .any), ("a=b", .keyID([97, 61, 98])),
            ("x:y", .keyID([120, 58, 121])), ("fqdn:0::0", .domainName("0::0")),
            ("*.example.org", .domainName("*.example.org")),
            ("C=CH, O=Example, CN=moon", try name("C=CH, O=Example, CN=moon")),
            ("asn1dn:CN=moon", try name("CN=moon")), (" moon ", .domainName("moon")),
        ]
        for (text, identity) in cases { #expect(try Identity(parsing: text) == identity, "\(text)") }
    }

    @Test(arguments: [
        "10.0.0.0/8", "10.0.0.0/33", "ipv4:moon", "asn1dn:moon", "keyid:0x+1", "^gw[0-9]+$", "fqdn:^gw.*$",
        "email:^.*@example$", "{2}:moon", "{2}", "uri:http://moon", "asn1gn:moon", "@", "@@", "@#", "fqdn:", "email:",
        "keyid:", "keyid:#", "keyid:0x", "asn1dn:", "ipv4:", "moon\nsun", "email:a\u{7f}",
    ])
    func badTextSaysWhatToWrite(_ text: String) {
        let error = #expect(throws: Problem.self) { try Identity(parsing: text) }
        #expect(error?.remedy.contains("write") == true)
    }

    @Test(arguments: [
        "moon.example.org", "moon@example.org", "192.0.2.1", "2001:db8::1", "keyid:abc", "keyid:0x00ff", "%any",
        "C=CH, O=Example, CN=moon", "branch office 7", "fqdn:10.0.0.1", "fqdn: moon", "fqdn:a=b", "email:moon",
        "keyid:branch office 7", "C=CH, CN=multi + UID=u1", "CN=moon\\, the first", "asn1dn:#3000", "ipv4:0.0.0.0",
    ])
    func whatIsWrittenIsReadAgain(_ text: String) throws { #expect(try Identity(parsing: text).description == text) }

    @Test(arguments: ["moon.example.org", "moon@example.org", "192.0.2.1", "2001:db8::1", "keyid:abc", "C=CH, CN=moon"])
    func payloadsGoBothWays(_ text: String) throws {
        let identity = try Identity(parsing: text)
        #expect(Identity(try #require(identity.payload)) == identity)
    }

    @Test func damagedPayloadsAreNobody() {
        let bad: [IdentificationPayload] = [
            IdentificationPayload(type: .ipv4, data: [1, 2, 3]),
            IdentificationPayload(type: .ipv4, data: Array(0..<16)),
            IdentificationPayload(type: .ipv6, data: [1, 2, 3, 4]),
            IdentificationPayload(type: .fullyQualifiedDomainName, data: []),
            IdentificationPayload(type: .fullyQualifiedDomainName, data: [0x6D, 0x00, 0x6E]),
            IdentificationPayload(type: .emailAddress, data: [0xFF, 0xFE]),
            IdentificationPayload(type: .distinguishedName, data: [0x30, 5, 1]),
            IdentificationPayload(type: .fullyQualifiedDomainName, data: Array("moon".utf8) + [0]),
            IdentificationPayload(type: .keyID, data: []), IdentificationPayload(type: .generalName, data: [1]),
        ]
        for payload in bad { #expect(Identity(payload) == nil, "\(payload)") }
        #expect(Identity.any.payload == nil)
    }

    @Test func patternsMatchAndTheCloserOneWins() throws {
        let moon = Identity.domainName("moon.hq.example.org")
        let exact = try #require(moon.matches(.domainName("MOON.hq.example.org")))
        let near = try #require(moon.matches(.domainName("*.hq.example.org")))
        let far = try #require(moon.matches(.domainName("*.example.org")))
        let any = try #require(moon.matches(.any))
        #expect(exact > near && near > far && far > any)
        #expect(moon.matches(.domainName("*.example.com")) == nil)
        #expect(Identity.domainName("example.org").matches(.domainName("*.example.org")) == nil)
        #expect(Identity.domainName(".example.org").matches(.domainName("*.example.org")) == nil)
        #expect(Identity.email("a@example.org").matches(.email("*@example.org")) != nil)
        let bare = Identity.domainName("*example.org")
        for own in ["example.org", "moon.example.org", "myexample.org"] {
            #expect(Identity.domainName(own).matches(bare) != nil, "\(own)")
        }
        #expect(Identity.domainName("example.com").matches(bare) == nil)
        #expect(Identity.domainName("branch office 7").matches(.domainName("*office 7")) != nil)
        // Only ASCII letters have two cases in names.
        #expect(Identity.domainName("MÜNCHEN").folded == Identity.domainName("mÜnchen"))
        #expect(Identity.email("a@example.org").matches(.domainName("*.org")) == nil, "types differ")
        #expect(Identity.keyID([1]).matches(.keyID([1])) == exact)
        #expect(Identity.keyID([1]).matches(.keyID([2])) == nil)
    }

    @Test func distinguishedNamesMatchAsNames() throws {
        let moon = try name("C=CH, O=Example, CN=moon")
        #expect(moon.matches(try name("C=CH, O=example, CN=MOON")) == moon.matches(moon))
        let one = try #require(moon.matches(try name("C=CH, O=Example, CN=*")))
        let two = try #require(moon.matches(try name("C=CH, O=*, CN=*")))
        #expect(one > two)
        #expect(moon.matches(try name("C=CH, O=Other, CN=*")) == nil)
        #expect(moon.matches(try name("C=CH, CN=*")) == nil, "another number of parts")
        #expect(moon.matches(try name("C=CH, OU=*, CN=moon")) == nil, "another type")
    }

    @Test func namesWithSeveralValuesInAPart() throws {
        let name = try name("C=CH, CN=moon + UID=u1")
        #expect(name.description == "C=CH, CN=moon + UID=u1" || name.description == "C=CH, UID=u1 + CN=moon")
        #expect(name.matches(try self.name("C=CH, UID=u1 + CN=moon")) == Identity.exactMatch)
        #expect(name.matches(try self.name("C=CH, CN=moon")) == nil)
        #expect(name.matches(try self.name("C=CH, CN=moon, UID=u1")) == nil)
        // A "+" is one where a type follows.
        for text in ["O=C++, CN=moon", "CN=a + b", "CN=a+b=c"] {
            #expect(try self.name(text).matches(try self.name(text.replacing("+", with: "\\+"))) == Identity.exactMatch)
        }
    }

    /// The remedy is what can be written, as it has to be written.
    @Test func theRemedyCanBeFollowed() throws {
        let connection = Connection.test(name: "site", local: "a", remote: "b", network: 1, remoteNetwork: 2)
        func remedy(_ type: IdentificationType, _ data: [UInt8]) -> String {
            PeerAuthentication.explainNoConnection(
                [connection], for: IdentificationPayload(type: type, data: data), wanted: nil
            ).remedy
        }
        #expect(
            remedy(.fullyQualifiedDomainName, Array("branch office 7".utf8))
                == "write connections.site.remote.id = branch office 7")
        #expect(
            remedy(.fullyQualifiedDomainName, Array("a \"b\" #1".utf8))
                == #"write connections.site.remote.id = "a \"b\" #1""#)
        #expect(remedy(.fullyQualifiedDomainName, [0xff]).hasPrefix("let the peer send"))
    }

    @Test func connectionsAreTriedByHowCloseTheyAre() {
        func connection(_ name: String, remote: Identity, local: Identity? = nil) -> Connection {
            Connection(
                name: name, proposals: IKEProposal.default,
                local: LocalAuthentication(method: .preSharedKey, identity: local),
                remote: RemoteAuthentication(method: .preSharedKey, identity: remote))
        }
        let all = [
            connection("any", remote: .any), connection("other", remote: .domainName("sun")),
            connection("moon", remote: .domainName("moon")),
            connection("moon-as-b", remote: .domainName("moon"), local: .domainName("b")),
            connection("moon-as-a", remote: .domainName("moon"), local: .domainName("a")),
        ]
        func names(_ wanted: Identity?) -> [String] {
            PeerAuthentication.connections(all, for: .domainName("moon"), wanted: wanted).map(\.name)
        }
        #expect(names(nil) == ["moon", "moon-as-b", "moon-as-a", "any"])
        #expect(names(.domainName("a")) == ["moon-as-a", "moon", "any"])
    }
}
