import IKEv2
import IKEv2Messages
import NIOCore

/// What `get-counters` tells, of all IKE SAs and of each connection's.
struct ExchangeCounters {
    /// strongSwan's counters, by its names and in its order.
    enum Name: String, CaseIterable {
        case rekeyInitiated = "ike-rekey-init"
        case rekeyResponded = "ike-rekey-resp"
        case childRekeyed = "child-rekey"
        case invalid = "invalid"
        case invalidSPI = "invalid-spi"
        case initInRequest = "ike-init-in-req"
        case initInResponse = "ike-init-in-resp"
        case initOutRequest = "ike-init-out-req"
        case initOutResponse = "ike-init-out-resp"
        case authInRequest = "ike-auth-in-req"
        case authInResponse = "ike-auth-in-resp"
        case authOutRequest = "ike-auth-out-req"
        case authOutResponse = "ike-auth-out-resp"
        case createInRequest = "create-child-in-req"
        case createInResponse = "create-child-in-resp"
        case createOutRequest = "create-child-out-req"
        case createOutResponse = "create-child-out-resp"
        case infoInRequest = "info-in-req"
        case infoInResponse = "info-in-resp"
        case infoOutRequest = "info-out-req"
        case infoOutResponse = "info-out-resp"
    }

    private typealias Counts = [Name: UInt64]
    private var total: Counts = [:]
    /// Only names of connections that are or were loaded, so that peers cannot make it grow.
    private var connections: [String: Counts] = [:]

    mutating func count(_ event: ManagerEvent, knownConnections: [Connection]) {
        guard case .session(let happening) = event.event, let name = Self.name(happening, of: event.ike) else { return }
        total[name, default: 0] += 1
        let connection = event.ike.connectionName
        guard !connection.isEmpty else { return }
        if connections[connection] != nil || knownConnections.contains(where: { $0.name == connection }) {
            connections[connection, default: [:]][name, default: 0] += 1
        }
    }

    private static func name(_ event: SessionEvent, of ike: IKESAStatus) -> Name? {
        switch event {
        case .rekeyed(let new): new.isInitiator ? .rekeyInitiated : .rekeyResponded
        case .childRekeyed: .childRekeyed
        case .message(let line): name(line)
        default: nil
        }
    }

    private static func name(_ line: MessageLine) -> Name? {
        let prefix: String
        switch line.header.exchange {
        case .initial: prefix = "ike-init"
        case .authentication: prefix = "ike-auth"
        case .createChild: prefix = "create-child"
        case .informational: prefix = "info"
        default: return nil
        }
        let way = line.way == .received ? "in" : "out"
        return Name(rawValue: "\(prefix)-\(way)-\(line.header.direction == .request ? "req" : "resp")")
    }

    /// All of them, with those that the manager counts itself.
    func listing(_ manager: ManagerCounters) -> VICIMessage {
        var counts = total
        counts[.invalid] = manager.malformed &+ manager.wrongVersion
        counts[.invalidSPI] = manager.unknownSPI
        return Self.listing(counts)
    }

    /// nil: nothing is known of such a connection.
    func listing(connection: String) -> VICIMessage? { connections[connection].map(Self.listing) }

    var connectionNames: [String] { connections.keys.sorted() }

    private static func listing(_ counts: Counts) -> VICIMessage {
        VICIMessage(Name.allCases.map { .init(name: $0.rawValue, content: .value(Array("\(counts[$0] ?? 0)".utf8))) })
    }

    mutating func reset(connection: String?) {
        if let connection { connections[connection] = nil } else { self = ExchangeCounters() }
    }
}

extension IKECommands {
    /// `get-counters`, `reset-counters`.
    static func counters(_ control: NIOLoopBound<IKEControl>) -> [IKECommand] {
        [
            IKECommand("get-counters", control) { control, request in
                var counters = VICIMessage()
                if request.flag("all") {
                    for name in control.counters.connectionNames {
                        counters.append(name, section: control.counters.listing(connection: name) ?? VICIMessage())
                    }
                } else if let name = request["name"] {
                    guard let listing = control.counters.listing(connection: name) else {
                        throw CommandError("no counters of a connection '\(name)'")
                    }
                    counters.append(name, section: listing)
                } else {
                    // strongSwan's name for the sum is the empty one.
                    counters.append("", section: control.counters.listing(control.manager.counters))
                }
                var message = VICIMessage()
                message.append("counters", section: counters)
                message.append("success", "yes")
                return message
            },
            IKECommand("reset-counters", control) { control, request in
                control.counters.reset(connection: request.flag("all") ? nil : request["name"])
                return .success
            },
        ]
    }
}
