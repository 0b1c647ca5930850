import IKEv2
import IKEv2Messages
import NIOCore
import Packets
import Telemetry

/// The counters of `get-counters`, of all IKE SAs and of each connection's.
package struct ExchangeCounters {
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

    /// All of them, for the catalogue of figures.
    package static let definitions: [MetricDefinition] = Name.allCases.map { name in
        MetricDefinition(name.rawValue, name.unit, name.help)
    }

    private typealias Counts = [Name: UInt64]
    private var total: Counts = [:]
    /// Counters by the names of connections that are or were loaded only, so that peers cannot make it grow.
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

    /// The counters of a connection; nil: nothing is known of it.
    func listing(connection: String) -> VICIMessage? { connections[connection].map(Self.listing) }

    var connectionNames: [String] { connections.keys.sorted() }

    private static func listing(_ counts: Counts) -> VICIMessage {
        VICIMessage(
            zip(definitions, Name.allCases).map { definition, name in
                .init(name: definition.name, content: .value(Array("\(counts[name] ?? 0)".utf8)))
            })
    }

    mutating func reset(connection: String?) {
        if let connection { connections[connection] = nil } else { self = ExchangeCounters() }
    }
}

extension ExchangeCounters.Name {
    fileprivate var unit: MetricDefinition.Unit {
        switch self {
        case .rekeyInitiated, .rekeyResponded, .childRekeyed: .count
        default: .messages
        }
    }

    fileprivate var help: String {
        switch self {
        case .rekeyInitiated: "IKE SAs rekeyed by us"
        case .rekeyResponded: "IKE SAs rekeyed by the peer"
        case .childRekeyed: "CHILD_SAs rekeyed"
        case .invalid: "Malformed messages, and those of another major version"
        case .invalidSPI: "Messages for unknown IKE SAs"
        case .initInRequest: "IKE_SA_INIT requests received"
        case .initInResponse: "IKE_SA_INIT responses received"
        case .initOutRequest: "IKE_SA_INIT requests sent"
        case .initOutResponse: "IKE_SA_INIT responses sent"
        case .authInRequest: "IKE_AUTH requests received"
        case .authInResponse: "IKE_AUTH responses received"
        case .authOutRequest: "IKE_AUTH requests sent"
        case .authOutResponse: "IKE_AUTH responses sent"
        case .createInRequest: "CREATE_CHILD_SA requests received"
        case .createInResponse: "CREATE_CHILD_SA responses received"
        case .createOutRequest: "CREATE_CHILD_SA requests sent"
        case .createOutResponse: "CREATE_CHILD_SA responses sent"
        case .infoInRequest: "INFORMATIONAL requests received"
        case .infoInResponse: "INFORMATIONAL responses received"
        case .infoOutRequest: "INFORMATIONAL requests sent"
        case .infoOutResponse: "INFORMATIONAL responses sent"
        }
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
                        throw Problem("no counters of a connection '\(name)'")
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
