import IKEv2Messages
import IPsec
import Packets
import Testing

@testable import IKEv2

/// The child of IKE_AUTH: what both agree on, and what is left when they do not (RFC 7296 sections 1.2, 1.3.1, 2.7, 2.9).
@Suite struct FirstChildTests {
    /// The IKE SA is up at both ends, without the child.
    private func expectRefused(
        _ bench: TwoSessions, _ notify: String, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        bench.initiate()
        bench.run()
        #expect(
            bench.trace[3] == "<-- IKE_AUTH response 1 [SK { IDr AUTH N(\(notify)) }]", sourceLocation: sourceLocation)
        bench.expectJoined(children: 0, sourceLocation: sourceLocation)
        #expect(bench.west.childFailures.count == 1, sourceLocation: sourceLocation)
        #expect(bench.east.childFailures.count == 1, sourceLocation: sourceLocation)
        #expect(bench.west.failures.isEmpty, sourceLocation: sourceLocation)
    }

    @Test func noCommonProposal() {
        let bench = TwoSessions()
        bench.east.connections[0].children[0].proposals = [
            ChildProposal(encryption: [.aesGCM(keyBits: 256, icvBytes: 16)])
        ]
        expectRefused(bench, "NO_PROPOSAL_CHOSEN")
        #expect(bench.east.childFailures.first?.remedy.contains("children.net.esp_proposals") == true)
        #expect(bench.west.childFailures.first?.remedy.contains("children.net.esp_proposals") == true)
    }

    @Test func noCommonSelectors() {
        let bench = TwoSessions()
        bench.east.connections[0].children[0] = .test(network: 3, remoteNetwork: 1)
        expectRefused(bench, "TS_UNACCEPTABLE")
        #expect(
            bench.east.childFailures.first?.details
                == [
                    "our side: the peer wants 10.2.0.0/16, here local_ts = 10.3.0.0/16",
                    "its side: the peer wants 10.1.0.0/16, here remote_ts = 10.1.0.0/16",
                ])
        #expect(
            bench.west.childFailures.first?.details == [
                "offered local_ts = 10.1.0.0/16", "offered remote_ts = 10.2.0.0/16",
            ])
    }

    @Test func noSPI() {
        let bench = TwoSessions()
        bench.east.environment.isOutOfSPIs = true
        expectRefused(bench, "NO_ADDITIONAL_SAS")
    }

    @Test func noRoom() {
        let bench = TwoSessions()
        bench.east.environment.hasRoom = false
        expectRefused(bench, "NO_ADDITIONAL_SAS")
        #expect(bench.east.environment.pendingSPIs.isEmpty)
    }

    /// Transport mode is for a later dataplane.
    @Test func aChildForTransportModeIsRefused() {
        let bench = TwoSessions()
        bench.east.connections[0].children[0].mode = .transport
        expectRefused(bench, "NO_PROPOSAL_CHOSEN")
        #expect(bench.east.childFailures.first?.remedy == "set mode = tunnel")
    }

    /// USE_TRANSPORT_MODE is declined by leaving it out of the answer (section 1.3.1).
    @Test func transportModeIsDeclinedWhereTunnelModeIsConfigured() throws {
        let bench = TwoSessions()
        bench.network.faults[3] = .lost
        bench.initiate()
        bench.pass(milliseconds: 100)
        let request = try #require(bench.contents(of: 3))
        bench.forgetTrace()
        bench.injectProtected(
            to: bench.east, .authentication, .request, messageID: 1,
            request + [.notify(NotifyPayload(.useTransportMode))])
        #expect(bench.trace == ["<-- IKE_AUTH response 1 [SK { IDr AUTH SA TSi TSr }]"])
        #expect(bench.east.children.map(\.mode) == [.tunnel])
    }

    /// AH is none of our proposals.
    @Test func authenticationHeaderIsRefused() throws {
        let bench = TwoSessions()
        bench.network.faults[3] = .lost
        bench.initiate()
        bench.pass(milliseconds: 100)
        let request = try #require(bench.contents(of: 3)).map { payload -> Payload in
            guard case .securityAssociation = payload else { return payload }
            let transforms: [Transform] = [.integrity(.init(rawValue: 12)), .sequenceNumbers(.short)]
            return .securityAssociation(
                SecurityAssociationPayload([
                    Proposal(number: 1, protocolID: .ah, spi: [1, 2, 3, 4], transforms: transforms)
                ]))
        }
        bench.forgetTrace()
        bench.injectProtected(to: bench.east, .authentication, .request, messageID: 1, request)
        #expect(bench.trace == ["<-- IKE_AUTH response 1 [SK { IDr AUTH N(NO_PROPOSAL_CHOSEN) }]"])
    }

    /// The responder has less: both have that (section 2.9).
    @Test func selectorsAreNarrowed() throws {
        let bench = TwoSessions()
        let narrow = try #require(IPPrefix("10.2.3.0/24"))
        bench.east.connections[0].children[0].localSelectors = [SelectorSide(addresses: AddressRange(narrow))]
        bench.initiate()
        bench.run()
        bench.expectJoined()
        #expect(bench.west.children.first?.selectors.map(\.description) == ["10.1.0.0/16 -> 10.2.3.0/24"])
    }

    /// A child that can carry all goes before one that can carry a part.
    @Test func theChildThatFitsBestIsChosen() throws {
        let bench = TwoSessions()
        var narrow = bench.east.connections[0].children[0]
        narrow.name = "narrow"
        narrow.localSelectors = [SelectorSide(addresses: AddressRange(try #require(IPPrefix("10.2.3.0/24"))))]
        bench.east.connections[0].children.insert(narrow, at: 0)
        bench.initiate()
        bench.run()
        bench.expectJoined()
        #expect(bench.east.children.map(\.child.name) == ["net"])
    }

    /// The packet that calls for the SA says which child is meant: the one that can carry it (section 2.9).
    @Test(arguments: ["10.2.5.0/24", "10.2.0.0/16"]) func theChildThatFitsThePacketIsChosen(remote: String) throws {
        let bench = TwoSessions()
        let fitting = bench.east.connections[0].children[0]
        bench.east.connections[0].children = try ["10.2.3.0/24", remote, "10.2.7.0/24"].map { text in
            var child = fitting
            child.name = text
            child.localSelectors = [SelectorSide(addresses: AddressRange(try #require(IPPrefix(text))))]
            return child
        }
        let packet = TrafficSelector(
            source: AddressRange(IPAddress(ipv4: 0x0A01_0001)), destination: AddressRange(IPAddress(ipv4: 0x0A02_0509)),
            protocol: 6, sourcePorts: 5000...5000, destinationPorts: 80...80)
        bench.initiate(hint: packet)
        bench.run()
        bench.expectJoined()
        #expect(bench.east.children.map(\.child.name) == [remote])
        #expect(bench.west.children.first?.selectors.map(\.description) == ["10.1.0.0/16 -> \(remote)"])
    }

    /// `dynamic` is the address of each end.
    @Test func dynamicSelectors() {
        let bench = TwoSessions()
        bench.connection.children[0].localSelectors = [.dynamic]
        bench.connection.children[0].remoteSelectors = [.dynamic]
        bench.east.connections[0].children[0].localSelectors = [.dynamic]
        bench.east.connections[0].children[0].remoteSelectors = [.dynamic]
        bench.initiate()
        bench.run()
        bench.expectJoined()
        #expect(bench.west.children.first?.selectors.map(\.description) == ["192.0.2.1/32 -> 192.0.2.2/32"])
    }

    /// A responder that answers what was not offered: its child goes, the IKE SA stays.
    @Test func anAnswerBeyondTheOfferIsUndone() throws {
        let bench = TwoSessions()
        bench.network.faults[4] = .lost
        bench.initiate()
        bench.pass(milliseconds: 100)
        let wide = try #require(IPPrefix("10.0.0.0/8"))
        let answer = try #require(bench.contents(of: 4)).map { payload -> Payload in
            guard case .trafficSelectorInitiator = payload else { return payload }
            return .trafficSelectorInitiator(
                SelectorNegotiation.payload([SelectorSide(addresses: AddressRange(wide))]))
        }
        bench.injectProtected(to: bench.west, .authentication, .response, messageID: 1, answer)
        bench.run()
        #expect(
            bench.trace.suffix(2) == [
                "INFORMATIONAL request 2 [SK { D(ESP × 1) }] -->", "<-- INFORMATIONAL response 2 [SK { D(ESP × 1) }]",
            ])
        bench.expectJoined(children: 0)
        #expect(bench.west.childFailures.count == 1)
        #expect(bench.east.childrenDown.count == 1)
    }
}
