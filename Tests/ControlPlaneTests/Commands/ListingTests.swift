import Configuration
import Cryptography
import IKEv2
import IPsec
import Packets
import Testing

@testable import ControlPlane

/// The shapes of strongSwan's listings, as its daemon gave them.
@Suite struct ListingTests {
    static let ikeFields: [(String, String)] = [
        ("uniqueid", "6"), ("version", "2"), ("state", "ESTABLISHED"), ("local-host", "10.98.0.1"),
        ("local-port", "4500"), ("local-id", "a@lab"), ("remote-host", "10.98.0.2"), ("remote-port", "4500"),
        ("remote-id", "b@lab"), ("initiator", "yes"), ("initiator-spi", "15b82aa06a68d5d1"),
        ("responder-spi", "0086313b2fa651e3"), ("nat-remote", "yes"), ("nat-any", "yes"), ("encr-alg", "AES_CBC"),
        ("encr-keysize", "256"), ("integ-alg", "HMAC_SHA2_256_128"), ("prf-alg", "PRF_HMAC_SHA2_256"),
        ("dh-group", "CURVE_25519"), ("established", "10"), ("rekey-time", "13072"),
    ]

    static let childFields: [(String, String)] = [
        ("name", "net"), ("uniqueid", "7"), ("reqid", "3"), ("state", "INSTALLED"), ("mode", "TUNNEL"),
        ("protocol", "ESP"), ("encap", "yes"), ("spi-in", "4e303e43"), ("spi-out", "00423702"),
        ("encr-alg", "AES_GCM_16"), ("encr-keysize", "128"), ("dh-group", "CURVE_25519"), ("esn", "1"),
        ("bytes-in", "840"), ("packets-in", "10"), ("use-in", "2"), ("bytes-out", "0"), ("packets-out", "0"),
        ("rekey-time", "3376"), ("life-time", "3950"), ("install-time", "10"),
    ]

    static func message(_ pairs: [(String, String)]) -> VICIMessage {
        VICIMessage(pairs.map { .init(name: $0.0, content: .value(Array($0.1.utf8))) })
    }

    @Test func listsAnIKESAWithItsChild() throws {
        var child = Self.message(Self.childFields)
        child.append("local-ts", list: ["10.1.0.0/16"])
        child.append("remote-ts", list: ["10.2.0.0/16[tcp/80]"])
        var children = VICIMessage()
        children.append("net-7", section: child)
        var ike = Self.message(Self.ikeFields)
        ike.append("tasks-active", list: ["CHILD_CREATE"])
        ike.append("child-sas", section: children)
        var expected = VICIMessage()
        expected.append("moon", section: ike)
        let session = Samples.session(children: [try Samples.childSA()])
        #expect(SAListing.message(session, now: .start + Samples.second * 100) == expected)
    }

    @Test func aSAThatIsNotUpYetHasNoTimesAndNoAlgorithms() throws {
        let path = Samples.path
        let half = IKESAStatus(
            id: 1, connectionName: "", state: .connecting, isInitiator: false, initiatorSPI: 1, responderSPI: 0,
            path: path)
        let section = try #require(SAListing.message(half, now: 5).section("(unnamed)"))
        #expect(section["state"] == "CONNECTING")
        #expect(section["remote-id"] == "%any")
        #expect(section["responder-spi"] == "0000000000000000")
        for absent in ["initiator", "encr-alg", "established", "rekey-time", "nat-any"] {
            #expect(section[absent] == nil, "\(absent)")
        }
        #expect(section.section("child-sas") == VICIMessage())
    }

    /// Moments that have passed are 0 seconds away, and moments to come 0 seconds old.
    @Test func timesNeverWrap() throws {
        let session = Samples.session(children: [try Samples.childSA()])
        let early = try #require(SAListing.message(session, now: 0).section("moon"))
        #expect(early["established"] == "0")
        let late = try #require(SAListing.message(session, now: .never).section("moon"))
        #expect(late["rekey-time"] == "0")
    }

    static let selectors: [(SelectorSide, String)] = [
        (.dynamic, "dynamic"),
        (SelectorSide(addresses: Samples.range("10.0.0.0/8")), "10.0.0.0/8"),
        (SelectorSide(addresses: Samples.range("2001:db8::/32"), protocolNumber: 58), "2001:db8::/32[ipv6-icmp]"),
        (SelectorSide(protocolNumber: 17, ports: 1000...2000), "dynamic[udp/1000-2000]"),
        (SelectorSide(ports: 53...53), "dynamic[any/53]"),
        (SelectorSide(protocolNumber: 89), "dynamic[89]"),
    ]

    @Test(arguments: selectors) func writesSelectors(_ pair: (SelectorSide, String)) {
        #expect(ListedSelector.text(pair.0) == pair.1)
    }

    @Test func listsAConnection() throws {
        let message = ConnectionListing.message(try Samples.connection())
        let section = try #require(message.section("moon"))
        #expect(section.list("local_addrs") == [Array("10.98.0.1".utf8)])
        #expect(section.list("remote_addrs") == [Array("peer.example.org".utf8)])
        #expect(section["version"] == "IKEv2")
        #expect(section["rekey_time"] == "14400")
        #expect(section["unique"] == "UNIQUE_NO")
        #expect(section.section("local-1")?["class"] == "pre-shared key")
        #expect(section.section("remote-1")?["id"] == "b@lab")
        let child = section.section("children")?.section("net")
        #expect(child?["mode"] == "TUNNEL")
        #expect(child?["rekey_time"] == "3600")
        #expect(child?.list("remote-ts") == [Array("10.2.0.0/16[tcp/80]".utf8)])
    }

    @Test func namesEveryAlgorithmOnce() {
        let message = AlgorithmListing.message
        #expect(message.section("aead")?["AES_GCM_16"] == "openssl")
        #expect(message.section("aead")?["CHACHA20_POLY1305"] == "openssl")
        #expect(message.section("encryption")?["AES_CBC"] == "openssl")
        #expect(message.section("integrity")?["HMAC_SHA2_512_256"] == "openssl")
        #expect(message.section("prf")?["PRF_HMAC_SHA2_384"] == "openssl")
        #expect(message.section("dh")?.fields.count == KeyExchangeMethod.allCases.count)
        for case .section(let section) in message.fields.map(\.content) {
            let names = section.fields.map(\.name)
            #expect(Set(names).count == names.count)
        }
    }
}
