import IPsec
import Packets
import Testing

@testable import IKEv2

/// The covers of children, and packets that call for them: the object alone, without any IKE SA.
@Suite struct CoversTests {
    private let parts = ManagerParts()
    private var covers: Covers { parts.covers }
    private let name = ChildName(connection: "sun", child: "net")
    private let packet = TrafficSelector(source: prefix("10.1.0.1/32"), destination: prefix("10.2.0.1/32"))

    private func load(_ connections: [Connection]) -> [ChildName] {
        parts.connections.set(connections)
        let gone = covers.connectionsChanged()
        for connection in connections { covers.cover(connection) }
        return gone
    }

    private func connection(_ change: (inout Connection) -> Void = { _ in }) -> Connection {
        var connection = Connection.moonToSun
        change(&connection)
        return connection
    }

    @Test func loadedChildrenAreCovered() {
        #expect(load([connection()]) == [] && parts.dataplane.covers.count == 1)
        #expect(covers.traps.isEmpty && covers.pair(of: name, holding: packet) != nil)
        #expect(covers.pair(of: name, holding: nil) == nil)
        covers.cover(connection())
        #expect(parts.dataplane.violations == [], "what has not changed is not told again")
        #expect(load([]) == [name] && parts.dataplane.covers.isEmpty)
    }

    @Test func trapsAreSetAndTakenAway() throws {
        _ = load([connection()])
        let id = try #require(parts.dataplane.covers["sun/net"]?.requestID)
        #expect(covers.called(by: id, packet).isEmpty)
        #expect(throws: Never.self) { try covers.setTrap(connection().children[0], of: connection()).get() }
        #expect(covers.isTrapped(name) && covers.traps.count == 1)
        #expect(covers.called(by: id, packet).map(\.child.name) == ["net"])
        #expect(
            !covers.removeTraps(connection: "mars", child: "net") && covers.removeTraps(connection: nil, child: "net"))
        #expect(!covers.isTrapped(name) && parts.dataplane.covers.count == 1, "it stays covered")
        #expect(!covers.removeTraps(connection: nil, child: "net"))
    }

    @Test func withoutAPeerThereIsNobodyToCall() {
        let anybody = connection { $0.remoteAddresses = [] }
        _ = load([anybody])
        #expect(throws: Explanation.self) { try covers.setTrap(anybody.children[0], of: anybody).get() }
        #expect(!covers.isTrapped(name))
    }

    @Test func startActionsSayWhetherPacketsCall() {
        var connection = connection { $0.children[0].startAction = .trap }
        covers.configureTrap(connection.children[0], of: connection)
        #expect(covers.isTrapped(name))
        connection.children[0].startAction = .none
        covers.configureTrap(connection.children[0], of: connection)
        #expect(!covers.isTrapped(name))
    }

    /// An address that is not known is looked for until it is, and told of once.
    @Test func missingAddressesAreLookedFor() throws {
        let dynamic = connection {
            $0.remoteAddresses = [.name("sun.example.org")]
            $0.children[0].remoteSelectors = [.dynamic]
        }
        _ = load([dynamic])
        #expect(parts.dataplane.covers["sun/net"]?.isComplete == false && parts.output.notes.isEmpty)
        var pauses: [Int] = []
        for _ in 0..<3 {
            let deadline = try #require(parts.context.nextDeadline)
            pauses.append((deadline - parts.context.now).wholeSeconds)
            parts.context.advance(to: deadline)
            _ = parts.context.nextDueTimer()
            covers.lookForAddresses()
        }
        #expect(pauses == [1, 2, 4] && parts.output.notes.count == 1 && parts.context.timerCount == 1)
        let question = try #require(parts.output.questions.last)
        _ = parts.connections.answer(question.request, [ip("192.0.2.2")])
        covers.nameResolved("mars.example.org")
        #expect(parts.dataplane.covers["sun/net"]?.isComplete == false)
        covers.nameResolved("sun.example.org")
        #expect(parts.dataplane.covers["sun/net"]?.isComplete == true)
        covers.lookForAddresses()
        #expect(parts.dataplane.violations == [])
    }

    /// The order of the configuration is the rank; only what moves is covered anew.
    @Test func ranksFollowTheConfiguration() {
        let first = connection { $0.name = "a" }
        let second = connection { $0.name = "b" }
        _ = load([first, second])
        func rank(_ name: String) -> UInt64 { parts.dataplane.covers["\(name)/net"]?.rank ?? 0 }
        #expect(rank("a") < rank("b"))
        parts.connections.set([second, first])
        _ = covers.connectionsChanged()
        #expect(rank("b") < rank("a") && parts.dataplane.violations == [])
    }
}
