import Cryptography
import IKEv2Messages
import Testing

@testable import IKEv2

/// A key exchange that a CHILD_SA may have: one request serves peers that demand one, and peers that want none (RFC 7296
/// sections 1.3.3, 3.3.2 and 3.3.6).
@Suite struct OptionalKeyExchangeTests {
    private static func proposals(_ text: String) throws -> [ChildProposal] { try ChildProposal.list(parsing: text) }

    /// West has the default, east something else.
    private func bench(_ east: String) throws -> TwoSessions {
        let proposals = try Self.proposals(east)
        return TwoSessions.joined { bench in
            bench.connection.children[0].proposals = ChildProposal.default
            bench.east.connections[0].children[0].proposals = proposals
        }
    }

    @Test(arguments: ["aes128gcm16-x25519", "aes128gcm16-modp2048", "aes256gcm16-ecp384,aes256-sha256-ecp384"])
    func theDefaultMeetsAPeerThatDemandsOne(_ peer: String) throws {
        let bench = try bench(peer)
        #expect(bench.west.onlyChild?.keyExchange == nil, "IKE_AUTH has none")
        for (number, host) in [bench.west, bench.east, bench.west, bench.east].enumerated() {
            bench.rekeyChild(host)
            bench.run()
            bench.expectJoined()
            #expect(bench.west.rekeys == number + 1 && bench.east.rekeys == number + 1)
            #expect(bench.west.onlyChild?.keyExchange != nil)
            #expect(bench.west.onlyChild?.keyExchange == bench.east.onlyChild?.keyExchange)
        }
        #expect(!bench.story.contains { $0.contains("NO_PROPOSAL_CHOSEN") }, "\(bench.story)")
        // The group that the peer wants is found at the first rekey, and remembered.
        #expect(bench.story.filter { $0.contains("INVALID_KE_PAYLOAD") }.count <= 1)
    }

    @Test(arguments: ["aes128gcm16", "aes256-sha256", "aes128gcm16-none-x25519"])
    func theDefaultMeetsAPeerThatWantsNone(_ peer: String) throws {
        let bench = try bench(peer)
        for (number, host) in [bench.west, bench.east].enumerated() {
            bench.rekeyChild(host)
            bench.run()
            bench.expectJoined()
            #expect(bench.west.rekeys == number + 1 && bench.east.rekeys == number + 1)
        }
        #expect(bench.west.onlyChild?.keyExchange == nil || peer.contains("x25519"))
        #expect(!bench.story.contains { $0.contains("NO_PROPOSAL_CHOSEN") || $0.contains("INVALID_KE") })
    }

    @Test func twoDefaultsHaveOne() throws {
        let bench = try bench("default")
        bench.rekeyChild(bench.west)
        bench.run()
        bench.expectStory(
            "CREATE request 2 { N(REKEY_SA) SA Ni KEi TSi TSr } -->",
            "<-- CREATE response 2 { SA Nr KEr TSi TSr }",
            "INFORMATIONAL request 3 { D(ESP) } -->",
            "<-- INFORMATIONAL response 3 { D(ESP) }")
        #expect(bench.west.onlyChild?.keyExchange == .x25519)
    }

    /// A peer that does not know what `NONE` means refuses all; without the groups it gets what it wants.
    @Test func aPeerThatDoesNotKnowNone() throws {
        var (more, wanted) = (
            Child.test("more", network: 3, remoteNetwork: 4), Child.test("more", network: 4, remoteNetwork: 3)
        )
        more.proposals = ChildProposal.default
        wanted.proposals = try Self.proposals("aes256gcm8")
        let bench = TwoSessions.joined(watching: false) { $0.east.connections[0].children.append(wanted) }
        bench.create(bench.west, more)
        bench.run()
        bench.expectStory(
            "CREATE request 2 { SA Ni KEi TSi TSr } -->",
            "<-- CREATE response 2 { N(NO_PROPOSAL_CHOSEN) }",
            "CREATE request 3 { SA Ni TSi TSr } -->",
            "<-- CREATE response 3 { N(NO_PROPOSAL_CHOSEN) }")
        bench.expectJoined()
        #expect(bench.west.childFailures.count == 1)
    }

    /// One that is demanded is never left out.
    @Test func aDemandStaysADemand() throws {
        let demand = try Self.proposals("aes128gcm16-x25519")
        let bench = TwoSessions.joined { bench in
            bench.connection.children[0].proposals = demand
        }
        bench.rekeyChild(bench.west)
        bench.run()
        bench.expectStory(
            "CREATE request 2 { N(REKEY_SA) SA Ni KEi TSi TSr } -->",
            "<-- CREATE response 2 { N(NO_PROPOSAL_CHOSEN) }")
    }

    /// `none` first: no value is sent, and one that the peer demands follows.
    @Test func whatIsAcceptedIsNotOfferedFirst() throws {
        let (ours, theirs) = (try Self.proposals("aes128gcm16-none-ecp256"), try Self.proposals("aes128gcm16-ecp256"))
        let bench = TwoSessions.joined { bench in
            bench.connection.children[0].proposals = ours
            bench.east.connections[0].children[0].proposals = theirs
        }
        bench.rekeyChild(bench.west)
        bench.run()
        bench.expectStory(
            "CREATE request 2 { N(REKEY_SA) SA Ni TSi TSr } -->",
            "<-- CREATE response 2 { N(INVALID_KE_PAYLOAD) }",
            "CREATE request 3 { N(REKEY_SA) SA Ni KEi TSi TSr } -->",
            "<-- CREATE response 3 { SA Nr KEr TSi TSr }",
            "INFORMATIONAL request 4 { D(ESP) } -->",
            "<-- INFORMATIONAL response 4 { D(ESP) }")
        #expect(bench.west.onlyChild?.keyExchange == .ecp256)
    }

    /// `sha256_96`: negotiated as ever, and cut shorter.
    @Test func sha256CutTo96Bits() throws {
        let proposals = try Self.proposals("aes128-sha256")
        let bench = TwoSessions.joined { bench in
            bench.connection.children[0].proposals = proposals
            bench.connection.children[0].cutsSHA256To96Bits = true
            bench.east.connections[0].children[0].proposals = proposals
            bench.east.connections[0].children[0].cutsSHA256To96Bits = true
        }
        #expect(bench.west.onlyChild?.transform.integrity == .hmacSHA256_96)
        #expect(bench.east.onlyChild?.transform.integrity == .hmacSHA256_96)
        bench.rekeyChild(bench.west)
        bench.run()
        bench.expectJoined()
        #expect(bench.west.onlyChild?.transform.integrity == .hmacSHA256_96)
    }
}
