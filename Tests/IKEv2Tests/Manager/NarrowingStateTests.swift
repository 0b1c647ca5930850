import IPsec
import Packets
import Testing

@testable import IKEv2

/// The next question, and the habits that are learned, without a peer.
@Suite struct NarrowingStateTests {
    private let parts = ManagerParts()
    private let narrowing: Narrowing
    private let packet = TrafficSelector(source: prefix("10.1.0.5/32"), destination: prefix("10.3.0.9/32"))
    private let connection: Connection

    init() {
        narrowing = Narrowing(
            context: parts.context, table: parts.table, connections: parts.connections, installer: parts.installer,
            covers: parts.covers, backoffs: parts.backoffs)
        var connection = Connection.moonToSun
        connection.children[0].remoteSelectors.append(SelectorSide(addresses: prefix("10.3.0.0/16")))
        self.connection = connection
        parts.connections.set([connection])
        _ = parts.covers.connectionsChanged()
        parts.covers.cover(connection)
    }

    private var child: Child { connection.children[0] }

    private func call(_ record: SessionRecord, hint: TrafficSelector?) -> ChildCall {
        narrowing.call(
            for: ConnectionAttempt.Wish("net", hint: hint), child, of: connection, on: record.session.path, in: record)
    }

    private func sa(_ destination: String, source: String = "10.1.0.0/16") -> ChildSA {
        parts.makeSA(
            of: child, for: TrafficSelector(source: prefix(source), destination: prefix(destination)))
    }

    @Test func aPacketGoesAlongUntilThePeerRefusesIt() throws {
        let record = parts.establish(connection)
        let first = call(record, hint: packet)
        #expect(first.manner == .hinted && call(record, hint: nil).manner == .plain)
        let why = Explanation("the peer refuses the selectors", cause: .selectors)
        guard case .inAnotherForm(let next, _) = narrowing.refused(first, "net", why, in: record) else {
            Issue.record("it is not asked again")
            return
        }
        #expect(next.manner == .plain)
        // That form works: it is the form for the next time.
        let (ended, sequel) = narrowing.cameUp(next, sa("10.3.0.0/16"), in: record)
        guard ended == nil, case .none = sequel else {
            Issue.record("there is nothing more to ask")
            return
        }
        #expect(call(record, hint: packet).manner == .plain)
        narrowing.forget(["sun"])
        #expect(call(record, hint: packet).manner == .hinted, "a configuration that is loaded begins anew")
    }

    /// The peer narrows to the other network: the pair of the packet is asked for, then packets wait.
    @Test func anSAThatLeavesThePacketOutIsNotEnough() {
        let record = parts.establish(connection)
        let first = call(record, hint: packet)
        let (_, sequel) = narrowing.cameUp(first, sa("10.2.0.0/16"), in: record)
        guard case .askLater(let next, _) = sequel, next.manner.pair != nil else {
            Issue.record("the pair is not asked for")
            return
        }
        let (_, last) = narrowing.cameUp(next, sa("10.2.0.0/16"), in: record)
        guard case .none = last else {
            Issue.record("it is asked without end")
            return
        }
        let pair = parts.covers.pair(of: ChildName(connection: "sun", child: "net"), holding: packet)
        #expect(pair != nil && parts.backoffs.isPausing("sun", child: "net", pair: pair, at: parts.context.now))
        #expect(!parts.backoffs.isPausing("sun", child: "net", at: parts.context.now), "other packets need not wait")
        #expect(parts.output.notes.count == 2)
    }

    /// A peer that takes the child for a single flow is asked for the whole pair; the narrow SA goes when that is there.
    @Test func aSingleFlowIsAStopgap() {
        let record = parts.establish(connection)
        let narrow = sa("10.3.0.9/32", source: "10.1.0.5/32")
        let (_, sequel) = narrowing.cameUp(call(record, hint: packet), narrow, in: record)
        guard case .askLater(let next, _) = sequel else {
            Issue.record("the pair is not asked for")
            return
        }
        #expect(next.stopgap == narrow.id)
        // Refused: it makes SAs for flows only, and is not asked for more the next time.
        let why = Explanation("the peer refuses the selectors", cause: .other)
        guard case .none = narrowing.refused(next, "net", why, in: record) else {
            Issue.record("it is asked again")
            return
        }
        guard case (nil, .none) = narrowing.cameUp(call(record, hint: packet), narrow, in: record) else {
            Issue.record("it is asked for the pair once more")
            return
        }
    }

    @Test func nothingIsAskedOfASessionThatEnds() {
        let record = parts.establish(connection)
        let first = call(record, hint: packet)
        record.isUnwanted = true
        let why = Explanation("the peer refuses the selectors", cause: .selectors)
        guard case .none = narrowing.refused(first, "net", why, in: record),
            case (nil, .none) = narrowing.cameUp(first, sa("10.2.0.0/16"), in: record)
        else {
            Issue.record("a session that ends is asked")
            return
        }
    }
}
