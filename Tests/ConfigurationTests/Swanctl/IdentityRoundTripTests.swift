import Configuration
import Cryptography
import IKEv2
import IKEv2Messages
import Testing

/// What can be configured can be received, and what is received can be configured: identities of every type, from the file
/// to the wire and back.
@Suite struct IdentityRoundTripTests {
    /// splitmix64.
    private struct Chance: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var value = state
            value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
            value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
            return value ^ (value >> 31)
        }
    }

    /// Letters that mean something somewhere, blanks, and some beyond ASCII.
    private static let letters = Array("abcXYZ019 .-_@:/*+=,;#\\\"'{}<>%()é€漢")

    private func randomText(_ chance: inout Chance) -> String {
        String(
            (0..<Int.random(in: 1...12, using: &chance)).compactMap { _ in Self.letters.randomElement(using: &chance) })
    }

    private func randomPayload(_ chance: inout Chance) -> IdentificationPayload? {
        func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255, using: &chance) } }
        switch Int.random(in: 0...5, using: &chance) {
        case 0: return IdentificationPayload(type: .ipv4, data: bytes(4))
        case 1: return IdentificationPayload(type: .ipv6, data: bytes(16))
        case 2: return IdentificationPayload(type: .fullyQualifiedDomainName, data: Array(randomText(&chance).utf8))
        case 3: return IdentificationPayload(type: .emailAddress, data: Array(randomText(&chance).utf8))
        case 4:
            let isText = Bool.random(using: &chance)
            let data = isText ? Array(randomText(&chance).utf8) : bytes(Int.random(in: 1...20, using: &chance))
            return IdentificationPayload(type: .keyID, data: data)
        default: return randomName(&chance).map { IdentificationPayload(type: .distinguishedName, data: $0.der) }
        }
    }

    private func randomName(_ chance: inout Chance) -> DistinguishedName? {
        let types = ["C", "O", "OU", "CN", "UID", "DC", "emailAddress", "2.5.4.46"]
        let parts = (0..<Int.random(in: 1...4, using: &chance)).compactMap { _ -> String? in
            guard let type = types.randomElement(using: &chance) else { return nil }
            let value = type == "C" ? "CH" : type == "DC" || type == "emailAddress" ? "a@b" : randomText(&chance)
            return "\(type)=" + value.map { "\\\($0)" }.joined()
        }
        let text = parts.reduce("") { $0.isEmpty ? $1 : $0 + (Bool.random(using: &chance) ? ", " : " + ") + $1 }
        return DistinguishedName(text)
    }

    private func configured(_ value: String) throws -> Identity {
        let text = sites(remote: "auth = psk\n id = ID").replacing("id = ID", with: "id = \(value)")
        return try connection(text).remote.identity
    }

    @Test(arguments: 0..<20) func fromTheWireToTheFileAndBack(seed: UInt64) throws {
        var chance = Chance(state: seed)
        var number = 0
        while number < 40 {
            guard let payload = randomPayload(&chance) else { continue }
            number += 1
            let identity = try #require(Identity(payload), "\(payload)")
            let value = identity.settingText
            let read = try configured(value)
            #expect(identity.matches(read) == identity.matches(identity), "\(value)")
            #expect(read.matches(identity) != nil, "\(value)")
            // And it is sent as what it was received as.
            let again = try #require(read.payload.flatMap(Identity.init))
            #expect(again.matches(identity) == identity.matches(identity), "\(value)")
        }
    }

    /// Whatever a file may say is received by the other end as it is configured there.
    @Test(arguments: 0..<20) func fromTheFileToTheWireAndBack(seed: UInt64) throws {
        var chance = Chance(state: seed &+ 1000)
        let prefixes = ["", "@", "@@", "fqdn:", "dns:", "email:", "rfc822:", "userfqdn:", "keyid:", "asn1dn:"]
        var number = 0
        while number < 40 {
            let written = (prefixes.randomElement(using: &chance) ?? "") + randomText(&chance)
            guard let identity = try? Identity(parsing: written), let payload = identity.payload else { continue }
            number += 1
            let received = try #require(Identity(payload), "\(written)")
            #expect(received.matches(identity) == identity.matches(identity), "\(written)")
            let printed = try Identity(parsing: received.description)
            #expect(printed.matches(identity) == identity.matches(identity), "\(written)")
        }
    }

    @Test(arguments: ["branch office 7", "\"C=CH, CN=multi + UID=u1\"", "fqdn:C=CH gateway", "keyid:branch office 7"])
    func namesWithBlanks(_ value: String) throws {
        let identity = try configured(value)
        let received = try #require(identity.payload.flatMap(Identity.init))
        #expect(received.matches(identity) == 1000)
        #expect(received.description == value.replacing("\"", with: ""))
    }
}
