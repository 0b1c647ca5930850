import IPsec
import Packets
import Testing

@testable import IKEv2

/// The loaded connections, their host names, and whose turn an address has.
@Suite struct ConnectionsTests {
    private let output = RecordingOutput()
    private let connections: Connections

    init() { connections = Connections(output: output) }

    private func connection(_ name: String, _ remotes: [AddressPattern]) -> Connection {
        var connection = Connection.moonToSun
        connection.name = name
        connection.remoteAddresses = remotes
        return connection
    }

    private func single(_ address: String) -> AddressPattern { .range(AddressRange(ip(address))) }

    @Test func namesAreAskedForAndFound() {
        connections.set([
            connection("a", [.name("one.example.org")]),
            connection("b", [.name("one.example.org"), .name("two.example.org")]),
        ])
        connections.resolveUnknown()
        #expect(output.questions.map(\.name) == ["one.example.org", "two.example.org"])
        #expect(connections.using("one.example.org").map(\.name) == ["a", "b"])
        #expect(connections.using("two.example.org").map(\.name) == ["b"])
        let version = connections.version
        let answer = connections.answer(output.questions[0].request, [ip("192.0.2.7")])
        #expect(answer?.name == "one.example.org" && answer?.isNews == true && answer?.changesAddresses == true)
        #expect(connections.version != version && connections.isNamed(ip("192.0.2.7")))
        #expect(connections.naming(ip("192.0.2.7")).map(\.name) == ["a", "b"])
        #expect(connections.answer(output.questions[0].request, [ip("192.0.2.8")]) == nil, "it is answered once")
        connections.resolveUnknown()
        #expect(output.questions.map(\.name).suffix(1) == ["two.example.org"] && output.questions.count == 3)
    }

    /// Only what changes the addresses of all names together is news to those who filter by them.
    @Test func anAddressOfTwoNamesStaysWhileOneHasIt() {
        connections.set([connection("a", [.name("one")]), connection("b", [.name("two")])])
        func resolve(_ name: String, _ addresses: [IPAddress]) -> NameCache.Answer? {
            connections.resolve(name, for: .recognition)
            return output.questions.last.flatMap { connections.answer($0.request, addresses) }
        }
        let (shared, other) = (ip("192.0.2.7"), ip("192.0.2.8"))
        #expect(resolve("one", [shared])?.changesAddresses == true)
        let second = resolve("two", [shared])
        #expect(second?.isNews == true && second?.changesAddresses == false)
        #expect(resolve("two", [shared])?.isNews == false)
        #expect(resolve("one", [other])?.changesAddresses == true && connections.isNamed(shared))
        #expect(
            resolve("one", [])?.isNews == false && connections.isNamed(other), "without an answer the last one stays")
        connections.set([connection("a", [.name("one")])])
        #expect(!connections.isNamed(shared) && connections.isNamed(other))
        #expect(connections.namedAddresses == [other])
    }

    @Test func turnsGoRound() {
        let many = connection("a", [single("192.0.2.2"), single("192.0.2.3")])
        let one = connection("b", [single("192.0.2.4")])
        connections.set([many, one])
        #expect(connections.destinations(of: many) == 2 && connections.destinations(of: one) == 1)
        for connection in [many, one] { connections.takeNextTurn(of: connection) }
        #expect(connections.turn(of: many) == 1 && connections.turn(of: one) == 0)
        connections.resetTurn(of: many)
        #expect(connections.turn(of: many) == 0)
    }

    /// Each address has the tries of `keyingtries`.
    @Test func triesAreByAddress() {
        var many = connection("a", [single("192.0.2.2"), single("192.0.2.3")])
        many.keyingTries = 2
        #expect(connections.hasTries(of: many, after: 3) && !connections.hasTries(of: many, after: 4))
        many.keyingTries = 0
        #expect(connections.hasTries(of: many, after: .max))
        many.keyingTries = .max
        #expect(connections.hasTries(of: many, after: .max))
    }

    @Test func commandsNameConnectionsAndChildren() throws {
        connections.set([connection("a", [single("192.0.2.2")]), connection("b", [single("192.0.2.3")])])
        #expect(try connections.find(connection: "b", child: nil).get().connection.name == "b")
        let found = try connections.find(connection: nil, child: "net").get()
        #expect(found.connection.name == "a" && found.child?.name == "net", "the first that has it")
        #expect(try connections.find(connection: "b", child: "net").get().child?.name == "net")
        for (connection, child) in [("c", nil), ("a", "far"), (nil, "far"), (nil, nil)] as [(String?, String?)] {
            #expect(throws: Explanation.self) { try connections.find(connection: connection, child: child).get() }
        }
    }
}
