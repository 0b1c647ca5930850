import CLinux
import Packets
import Platform
import Synchronization

/// Requests to the kernel's network configuration, one at a time, each answered before the call returns.
///
/// The session belongs to the network namespace of the thread that created it. Calls from several threads take turns.
package final class NetlinkSession: Sendable {
    fileprivate struct Connection: ~Copyable {
        var socket: NetlinkSocket
        var sequence: UInt32 = 1
    }

    private let connection: Mutex<Connection>
    /// The most repetitions of a dump when the tables change while it runs.
    private static let dumpAttempts = 16

    package init() throws(NetlinkError) {
        connection = Mutex(Connection(socket: try NetlinkSocket(receiveTimeoutSeconds: 5)))
    }

    /// The whole network configuration.
    package func networkState() throws(NetlinkError) -> NetworkState {
        var state = NetworkState()
        for table in Request.Dump.allCases {
            for message in try dump(table) { _ = state.apply(message) }
        }
        return state
    }

    /// The routes of both families and all tables.
    package func routes() throws(NetlinkError) -> [Route] {
        var routes: [Route] = []
        for table in Request.Dump.routes {
            for case .route(let route, _) in try dump(table) { routes.append(route) }
        }
        return routes
    }

    /// Makes the kernel find the neighbour's link-layer address, or verify one that it has not used for a while.
    ///
    /// Returns at once; the result comes as a change of state. `address` must be on the link of the interface.
    package func probeNeighbour(interface index: UInt32, address: IPAddress) throws(NetlinkError) {
        let key = Neighbour.Key(interfaceIndex: index, address: address)
        try execute("probe neighbour \(address)") { Request.probe(key, sequence: $0) }
    }

    /// Adds a route, or puts it in the place of the one with the same destination, table and metric.
    package func replace(_ route: Route) throws(NetlinkError) {
        try execute("add route \(route.destination)") { Request.replace(route, sequence: $0) }
    }

    package func remove(_ route: Route) throws(NetlinkError) {
        try execute("remove route \(route.destination)") { Request.remove(route, sequence: $0) }
    }

    /// Adds a rule. One that is there already is no error.
    package func add(_ rule: RoutingRule) throws(NetlinkError) {
        do throws(NetlinkError) {
            try execute("add rule \(rule.priority)") { Request.add(rule, sequence: $0) }
        } catch {
            guard error.errno == .fileExists else { throw error }
        }
    }

    package func remove(_ rule: RoutingRule) throws(NetlinkError) {
        try execute("remove rule \(rule.priority)") { Request.remove(rule, sequence: $0) }
    }

    /// Removes all rules of these priorities, and all routes of ours from these tables: what an ended process may have left.
    package func removeRules(priorities: Range<UInt32>, tables: Range<UInt32>) throws(NetlinkError) {
        for family in [AddressFamily.ipv4, .ipv6] {
            for priority in priorities {
                while (try? execute("remove rule", { Request.removeRule(family, priority: priority, sequence: $0) }))
                    != nil
                {}
            }
        }
        for route in try routes() where route.origin == .sluice && tables.contains(route.table.rawValue) {
            try? remove(route)
        }
    }

    package func add(_ address: InterfaceAddress) throws(NetlinkError) {
        try execute("add address \(address.address)") { Request.change(address, isRemoval: false, sequence: $0) }
    }

    package func remove(_ address: InterfaceAddress) throws(NetlinkError) {
        try execute("remove address \(address.address)") { Request.change(address, isRemoval: true, sequence: $0) }
    }

    /// Sets an interface up or down.
    ///
    /// - Parameters:
    ///   - index: the interface's.
    ///   - isUp: false takes it down.
    ///   - mtu: in bytes; nil leaves it.
    ///   - withoutLinkLocal: IPv6 makes no link-local address on it.
    package func configure(
        interface index: UInt32, isUp: Bool, mtu: UInt32? = nil, withoutLinkLocal: Bool = false
    ) throws(NetlinkError) {
        try execute("configure interface \(index)") {
            Request.configure(
                interface: index, isUp: isUp, mtu: mtu, withoutLinkLocal: withoutLinkLocal, sequence: $0)
        }
    }

    /// Dumps one table, again and again while it changes under the dump.
    func dump(_ table: Request.Dump) throws(NetlinkError) -> [NetlinkMessage] {
        for _ in 0..<Self.dumpAttempts {
            let result = try withConnection { connection throws(NetlinkError) in
                try connection.dumpOnce(table)
            }
            if let result { return result }
        }
        throw .unstableDump
    }

    private func execute(_ operation: String, _ message: (UInt32) -> MessageWriter) throws(NetlinkError) {
        try withConnection { connection throws(NetlinkError) in
            try connection.execute(operation, message)
        }
    }

    private func withConnection<Value: Sendable>(
        _ body: (inout Connection) throws(NetlinkError) -> Value
    ) throws(NetlinkError) -> Value {
        let result: Result<Value, NetlinkError> = connection.withLock { connection in
            do throws(NetlinkError) {
                return .success(try body(&connection))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}

extension NetlinkSession.Connection {
    /// Sends and waits for the acknowledgement.
    fileprivate mutating func execute(
        _ operation: String, _ message: (UInt32) -> MessageWriter
    ) throws(NetlinkError) {
        let sequence = nextSequence()
        try socket.send(message(sequence))
        while true {
            guard case .messages(let messages) = try socket.receive(wait: true) else {
                throw .unexpectedAnswer(operation: operation)
            }
            // Answers to an earlier request that was given up are skipped.
            for received in messages where received.sequence == sequence {
                switch received.message {
                case .acknowledged: return
                case .refused(let code, let reason):
                    throw .refused(Errno(rawValue: code), operation: operation, reason: reason)
                default: break
                }
            }
        }
    }

    /// One dump; nil when it may be inconsistent.
    fileprivate mutating func dumpOnce(_ table: Request.Dump) throws(NetlinkError) -> [NetlinkMessage]? {
        let sequence = nextSequence()
        let operation = "read \(table)"
        try socket.send(Request.dump(table, sequence: sequence))
        var found: [NetlinkMessage] = []
        var isInterrupted = false
        while true {
            let messages: [NetlinkReply]
            switch try socket.receive(wait: true) {
            case .messages(let received): messages = received
            case .overrun: return nil
            case .nothing: throw .unexpectedAnswer(operation: operation)
            }
            for received in messages where received.sequence == sequence {
                isInterrupted = isInterrupted || received.isInterrupted
                switch received.message {
                case .dumpEnd(let code):
                    // EINTR here is another way to say "inconsistent".
                    if isInterrupted || code == Errno.interrupted.rawValue { return nil }
                    guard code == 0 else {
                        throw .refused(Errno(rawValue: code), operation: operation, reason: nil)
                    }
                    return found
                case .refused(let code, let reason):
                    throw .refused(Errno(rawValue: code), operation: operation, reason: reason)
                case .malformed: throw .unexpectedAnswer(operation: operation)
                default: found.append(received.message)
                }
            }
        }
    }

    private mutating func nextSequence() -> UInt32 {
        sequence = sequence &+ 1
        return sequence
    }
}
