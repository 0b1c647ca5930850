import Cryptography
import IKEv2Messages
import IPsec
import Packets
import Testing

@testable import IKEv2

/// Children are replaced without a moment in which nothing can be sent.
@Suite struct RekeyChildTests {
    @Test func theInitiatorOfTheRekeyDeletesTheOldChild() throws {
        let bench = TwoSessions.joined()
        let old = try #require(bench.west.onlyChild)
        let logged = (bench.west.log.count, bench.east.log.count)
        bench.rekeyChild(bench.west)
        bench.run()
        bench.expectStory(
            "CREATE request 2 { N(REKEY_SA) SA Ni TSi TSr } -->",
            "<-- CREATE response 2 { SA Nr TSi TSr }",
            "INFORMATIONAL request 3 { D(ESP) } -->",
            "<-- INFORMATIONAL response 3 { D(ESP) }")
        bench.expectJoined()
        let new = try #require(bench.west.onlyChild)
        #expect(new.id != old.id && new.inboundSPI != old.inboundSPI && new.inboundKey != old.inboundKey)
        #expect(new.requestID == old.requestID && new.child == old.child && new.selectors == old.selectors)
        // The new one receives first, sends next; only then the old one stops to send, and it drains at the end.
        #expect(
            Array(bench.west.log.dropFirst(logged.0))
                == ["send", "installInbound", "installOutbound", "removeOutbound", "send", "removeInbound"])
        #expect(
            Array(bench.east.log.dropFirst(logged.1))
                == ["installInbound", "send", "installOutbound", "removeOutbound", "removeInbound", "send"])
        #expect(bench.west.draining == [old.inboundSPI] && bench.east.draining == [old.outboundSPI])
        for host in [bench.west, bench.east] {
            #expect(host.rekeys == 1 && host.childrenDown.isEmpty && host.childrenUp.isEmpty)
        }
    }

    @Test func theResponderOfTheIKESARekeysToo() {
        let bench = TwoSessions.joined()
        bench.rekeyChild(bench.east)
        bench.run()
        bench.expectStory(
            "<-- CREATE request 0 { N(REKEY_SA) SA Ni TSi TSr }",
            "CREATE response 0 { SA Nr TSi TSr } -->",
            "<-- INFORMATIONAL request 1 { D(ESP) }",
            "INFORMATIONAL response 1 { D(ESP) } -->")
        bench.expectJoined()
        #expect(bench.west.rekeys == 1 && bench.east.rekeys == 1)
    }

    /// PFS: the proposals have a key exchange, which the child of IKE_AUTH went without.
    @Test func aKeyExchangeOfItsOwn() throws {
        let bench = TwoSessions.joined { bench in
            let proposals = [ChildProposal(encryption: [.aesGCM(keyBits: 256, icvBytes: 16)], keyExchanges: [.ecp256])]
            bench.connection.children[0].proposals = proposals
            bench.east.connections[0].children[0].proposals = proposals
        }
        #expect(bench.west.onlyChild?.keyExchange == nil)
        bench.rekeyChild(bench.west)
        bench.run()
        bench.expectStory(
            "CREATE request 2 { N(REKEY_SA) SA Ni KEi TSi TSr } -->",
            "<-- CREATE response 2 { SA Nr KEr TSi TSr }",
            "INFORMATIONAL request 3 { D(ESP) } -->",
            "<-- INFORMATIONAL response 3 { D(ESP) }")
        bench.expectJoined()
        #expect(bench.west.onlyChild?.keyExchange == .ecp256 && bench.east.onlyChild?.keyExchange == .ecp256)
    }

    @Test func theGroupThatThePeerWants() throws {
        let bench = TwoSessions.joined { bench in
            func proposals(_ methods: [KeyExchangeMethod]) -> [ChildProposal] {
                [ChildProposal(encryption: [.aesGCM(keyBits: 128, icvBytes: 16)], keyExchanges: methods)]
            }
            bench.connection.children[0].proposals = proposals([.x25519, .ecp384])
            bench.east.connections[0].children[0].proposals = proposals([.ecp384])
        }
        bench.rekeyChild(bench.west)
        bench.run()
        bench.expectStory(
            "CREATE request 2 { N(REKEY_SA) SA Ni KEi TSi TSr } -->",
            "<-- CREATE response 2 { N(INVALID_KE_PAYLOAD) }",
            "CREATE request 3 { N(REKEY_SA) SA Ni KEi TSi TSr } -->",
            "<-- CREATE response 3 { SA Nr KEr TSi TSr }",
            "INFORMATIONAL request 4 { D(ESP) } -->",
            "<-- INFORMATIONAL response 4 { D(ESP) }")
        bench.expectJoined()
        #expect(bench.west.onlyChild?.keyExchange == .ecp384)
    }

    @Test func rekeysFollowEachOther() throws {
        let bench = TwoSessions.joined()
        for round in 0..<6 {
            bench.rekeyChild(round.isMultiple(of: 2) ? bench.west : bench.east)
            bench.run()
            bench.expectJoined()
        }
        #expect(bench.west.rekeys == 6 && bench.east.rekeys == 6)
        #expect(bench.west.draining.count == 6)
    }

    @Test func aSoftLimitOfTimeRekeysAndTheHardOneIsNotReached() throws {
        let bench = TwoSessions.joined { bench in
            bench.connection.children[0].time = Child.Limit(rekey: 100, life: 120, random: 10)
        }
        bench.pass(seconds: 89)
        #expect(bench.west.rekeys == 0)
        bench.pass(seconds: 12)
        #expect(bench.west.rekeys == 1)
        bench.pass(seconds: 1000)
        #expect((9...12).contains(bench.west.rekeys))
        #expect(bench.west.childrenDown.isEmpty && bench.east.childrenDown.isEmpty)
        bench.expectJoined()
    }

    /// RFC 7296 section 2.25: the peer knows no such child; it is made anew from nothing.
    @Test func aChildThatThePeerDoesNotKnow() throws {
        let bench = TwoSessions.joined()
        let session = try #require(bench.east.session)
        bench.east.perform(session) { session in
            session.step(bench.east.environment) {
                session.childTable.sessionEnded(reason: "lost", atOnce: false, &$0)
            }
        }
        bench.rekeyChild(bench.west)
        bench.run()
        bench.expectStory(
            "CREATE request 2 { N(REKEY_SA) SA Ni TSi TSr } -->",
            "<-- CREATE response 2 { N(CHILD_SA_NOT_FOUND) }",
            "CREATE request 3 { SA Ni TSi TSr } -->",
            "<-- CREATE response 3 { SA Nr TSi TSr }")
        bench.expectJoined()
    }

    /// When it was to be deleted meanwhile, that is all the better.
    @Test func aChildThatNeitherEndWantsIsNotMadeAnew() throws {
        let bench = TwoSessions.joined()
        let session = try #require(bench.east.session)
        bench.east.perform(session) { session in
            session.step(bench.east.environment) {
                session.childTable.sessionEnded(reason: "lost", atOnce: false, &$0)
            }
        }
        bench.rekeyChild(bench.west)
        bench.deleteChild(bench.west)
        bench.run()
        bench.expectStory(
            "CREATE request 2 { N(REKEY_SA) SA Ni TSi TSr } -->",
            "<-- CREATE response 2 { N(CHILD_SA_NOT_FOUND) }")
        bench.expectJoined(children: 0)
        #expect(bench.west.childrenDown.count == 1)
    }

    @Test func aRefusedRekeyIsTriedAgainBeforeTheHardLimit() throws {
        let bench = TwoSessions.joined { bench in
            bench.connection.children[0].time = Child.Limit(rekey: 100, life: 200, random: 0)
        }
        bench.east.environment.isOutOfSPIs = true
        bench.pass(seconds: 110)
        bench.expectStory(
            "CREATE request 2 { N(REKEY_SA) SA Ni TSi TSr } -->",
            "<-- CREATE response 2 { N(NO_ADDITIONAL_SAS) }")
        bench.expectJoined()
        #expect(bench.west.notes.contains { $0.contains("could not be rekeyed") && $0.contains("NO_ADDITIONAL_SAS") })
        bench.east.environment.isOutOfSPIs = false
        bench.pass(seconds: 40)
        #expect(bench.west.rekeys == 1)
        bench.expectJoined()
    }

    /// The limit is one of children, and a rekey makes no more of them.
    @Test func atTheLimitOfChildrenTheyAreRekeyed() {
        let bench = TwoSessions.joined()
        bench.east.environment.settings.maximumChildren = 1
        for round in 1...3 {
            bench.rekeyChild(bench.west)
            bench.run()
            bench.expectJoined()
            #expect(bench.west.rekeys == round)
        }
    }

    /// A peer that rekeys again and again, and deletes nothing, does not get any number of SAs.
    @Test func rekeysWithoutDeletionsEndSomewhere() throws {
        let bench = TwoSessions.joined(watching: false)
        bench.east.environment.settings.maximumChildren = 1
        let session = try #require(bench.east.session)
        var peerSPI = try #require(bench.east.onlyChild).outboundSPI
        for number: UInt32 in 0..<2 {
            let next: SPI = 0x7700_0000 + number
            bench.injectProtected(
                to: bench.east, .createChild, .request, messageID: session.window.expectedRequestID,
                rekey(of: peerSPI, to: next))
            peerSPI = next
        }
        #expect(session.children.count == 2)
        #expect(bench.trace.last == "<-- CREATE_CHILD_SA response 3 [SK { N(NO_ADDITIONAL_SAS) }]")
    }

    /// The peer is gone before it has deleted what it has rekeyed: the end of the child is told, or nothing would bring it
    /// back.
    @Test(arguments: [CloseReason.peerDead, .deletedByPeer]) func anIKESAEndsInTheMiddleOfARekey(reason: CloseReason)
        throws
    {
        let bench = TwoSessions.joined(watching: false)
        let session = try #require(bench.east.session)
        let old = try #require(bench.east.onlyChild)
        bench.injectProtected(
            to: bench.east, .createChild, .request, messageID: session.window.expectedRequestID,
            rekey(of: old.outboundSPI, to: 0x7700_0000))
        #expect(session.children.count == 2)
        bench.east.perform(session) { $0.abandon(reason, environment: bench.east.environment) }
        #expect(bench.east.childrenDown.map(\.id) == [old.id])
        #expect(bench.east.inbound.isEmpty && bench.east.outbound.isEmpty)
    }

    private func rekey(of old: SPI, to new: SPI) -> [Payload] {
        let child = Child.test(network: 1, remoteNetwork: 2)
        return [
            .notify(NotifyPayload(.rekeySA, protocolID: .esp, childSPI: old)),
            .securityAssociation(ChildNegotiation.offer(child.proposals, spi: new, withKeyExchange: true)),
            .nonce(NoncePayload(nonce(7))),
            .trafficSelectorInitiator(SelectorNegotiation.payload(child.localSelectors)),
            .trafficSelectorResponder(SelectorNegotiation.payload(child.remoteSelectors)),
        ]
    }

    @Test func whenEveryRekeyIsRefusedTheHardLimitEndsTheChild() {
        let bench = TwoSessions.joined { bench in
            bench.connection.children[0].time = Child.Limit(rekey: 100, life: 200, random: 0)
        }
        bench.east.environment.isOutOfSPIs = true
        bench.pass(seconds: 201)
        bench.run()
        bench.expectJoined(children: 0)
        #expect(bench.west.childrenDown.count == 1 && bench.east.childrenDown.count == 1)
    }

    /// Only the algorithms may have changed: the selectors in use are offered (section 2.9.2).
    @Test func narrowedSelectorsStayAsTheyAre() throws {
        let bench = TwoSessions.joined { bench in
            bench.east.connections[0].children[0].localSelectors[0].protocolNumber = 6
        }
        let old = try #require(bench.west.onlyChild)
        #expect(old.remoteSelectors.first?.protocolNumber == 6)
        bench.rekeyChild(bench.west)
        bench.run()
        bench.expectJoined()
        let new = try #require(bench.west.onlyChild)
        #expect(new.selectors == old.selectors && new.child.remoteSelectors.first?.protocolNumber == nil)
    }

    /// What the peer asks for when it rekeys: within what is configured, and all that is in use (section 2.9.2). The west
    /// has 10.1.0.0/17 of the 10.1.0.0/16 that it may have.
    @Test(
        arguments: [
            ("10.1.0.0/17", "10.1.0.0/17"), ("10.1.0.0/16", "10.1.0.0/16"), ("10.0.0.0/8", "10.1.0.0/16"),
            ("10.1.0.0/24", nil), ("10.1.128.0/17", nil), ("10.9.0.0/16", nil),
        ] as [(String, String?)])
    func aRekeyKeepsWhatItReplaces(wanted: String, expected: String?) throws {
        func side(_ text: String) throws -> SelectorSide {
            SelectorSide(addresses: AddressRange(try #require(IPPrefix(text))))
        }
        let inUse = try side("10.1.0.0/17")
        let bench = TwoSessions.joined(watching: false) { $0.connection.children[0].localSelectors = [inUse] }
        let session = try #require(bench.east.session)
        let old = try #require(bench.east.onlyChild)
        #expect(old.remoteSelectors == [inUse])
        var payloads = rekey(of: old.outboundSPI, to: 0x7700_0000)
        payloads[3] = .trafficSelectorInitiator(SelectorNegotiation.payload([try side(wanted)]))
        bench.injectProtected(
            to: bench.east, .createChild, .request, messageID: session.window.expectedRequestID, payloads)
        if let expected {
            #expect(session.children.count == 2)
            #expect(session.children.last?.remoteSelectors == [try side(expected)])
            #expect(session.children.last?.requestID == old.requestID)
        } else {
            #expect(session.children.map(\.id) == [old.id])
            #expect(bench.trace.last?.contains("N(TS_UNACCEPTABLE)") == true)
            #expect(bench.east.notes.contains { $0.contains("TS_UNACCEPTABLE") })
            #expect(bench.east.environment.pendingSPIs.isEmpty)
        }
    }

    /// Every message of a rekey is lost, doubled, delayed or overtaken in turn.
    @Test(arguments: 1...4, [Fault.lost, .doubled, .delayed(milliseconds: 1500), .overtaken])
    func everyMessageMeetsEveryFault(_ number: Int, _ fault: Fault) {
        for rekeysWest in [true, false] {
            let bench = TwoSessions.joined()
            bench.network.faults[bench.network.sent + number] = fault
            bench.rekeyChild(rekeysWest ? bench.west : bench.east)
            bench.run()
            bench.expectJoined()
            #expect(bench.west.rekeys == 1 && bench.east.rekeys == 1)
        }
    }

    /// A peer that never deletes what it has replaced: we do, and the new SA sends from then on.
    @Test func theOldChildGoesEvenIfThePeerForgetsIt() throws {
        let bench = TwoSessions.joined(watching: false)
        let old = try #require(bench.east.onlyChild)
        bench.rekeyChild(bench.west)
        bench.pass(milliseconds: 15)
        #expect(bench.east.children.count == 2 && Array(bench.east.outbound.keys) == [old.outboundSPI])
        // The west has done its part and then forgets to delete.
        let session = try #require(bench.west.session)
        bench.tamper = { bytes, _ in bytes }
        bench.network.faults[bench.network.sent + 1] = .lost
        bench.pass(milliseconds: 10)
        session.exchanges.finish()
        session.window.completed()
        #expect(bench.west.children.count == 2)
        bench.pass(seconds: 130)
        bench.run()
        bench.expectJoined()
        #expect(bench.east.outbound[old.outboundSPI] == nil && bench.east.rekeys == 1)
    }

    /// A peer that takes back what it has made: the old child stays, and can be rekeyed again.
    @Test func aNewChildThatThePeerTakesBack() throws {
        let bench = TwoSessions.joined(watching: false)
        let old = try #require(bench.east.onlyChild)
        bench.network.faults[bench.network.sent + 3] = .lost
        bench.rekeyChild(bench.west)
        bench.pass(milliseconds: 25)
        let session = try #require(bench.west.session)
        let made = try #require(session.children.last)
        // In place of the deletion of the old child comes one of the new.
        session.exchanges.finish()
        session.window.takeBack()
        bench.west.perform(session) { $0.deleteChild(id: made.id, environment: bench.west.environment) }
        bench.run()
        let status = bench.east.status(try #require(bench.east.session))
        #expect(status.children.map(\.sa.id) == [old.id] && status.children.first?.state == .installed)
        #expect(bench.east.childrenDown.isEmpty && bench.east.outbound[old.outboundSPI] != nil)
    }
}
