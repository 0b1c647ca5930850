import IPsec
import Logging
import Netlink
import Packets
import Policy
import XDP

/// Keeps the steering programs told of policies, and of the network as far as they decide by it. What fails is tried again
/// within a second; until then packets that may be concerned are dropped.
struct SteeringKeeper {
    private let tables: SteeringTables
    private let logger: Logger
    /// The view of the network that the programs were told; nil: it is to be told again.
    private var view: SteeringView?
    private var ownAddresses = OwnAddresses()
    private var hasFailed = false
    private var hasSaidWhatIsCut = false

    init(_ tables: SteeringTables, logger: Logger) {
        self.tables = tables
        self.logger = logger
    }

    /// Packets from the LAN that policies are about come to the workers.
    mutating func change(_ change: PolicyChange) throws {
        defer { sayWhatIsCut() }
        do {
            try tables.change(
                adding: change.added.flatMap(PolicySteering.rules),
                removing: change.removed.flatMap(PolicySteering.rules))
        } catch {
            hasFailed = true
            throw error
        }
    }

    /// Once: with so many policies between two networks that the program cannot tell all their packets apart.
    private mutating func sayWhatIsCut() {
        guard !hasSaidWhatIsCut, let pair = tables.pairWithTooManyRules else { return }
        hasSaidWhatIsCut = true
        logger.warning(
            "more policies by protocol and port between two networks than the steering program holds: it takes all other packets between them, and what no policy covers is dropped",
            metadata: [
                "source": "\(pair.source)", "destination": "\(pair.destination)",
                "remedy": "join ports to ranges, or leave them out",
            ])
    }

    /// Whether the program has room for what selectors protect.
    func canHold(_ selectors: [TrafficSelector]) -> Bool {
        let protection = SecurityPolicy.Action.protect(SecurityPolicy.Protection(requestID: 0))
        return tables.canHold(
            selectors.flatMap { selector in
                PolicySteering.rules(SecurityPolicy(selector: selector, direction: .out, action: protection))
            })
    }

    /// The configuration is in force: what no rule is about passes from now on.
    func open() throws { try tables.open() }

    /// The links of ports and the networks behind LAN ports, as they are now.
    mutating func follow(_ network: NetworkState, _ returns: inout PortReturns, _ ports: [XDPPort]) {
        do {
            if returns.takeNews() { view = nil }
            let next = SteeringView(network, ports: returns.ports)
            guard next != view else { return }
            for (number, port) in ports.enumerated() {
                let program = returns.program(number) ?? port.program
                // Of a port that is gone nothing is known; it keeps what it had.
                if let links = next.links[number] { try program.setLinks(links) }
            }
            try tables.setInsideNetworks(next.insideNetworks)
            view = next
        } catch {
            if !hasFailed {
                logger.error(
                    "steering program not told of the network; tried again within a second",
                    metadata: ["error": "\(error)"])
            }
            hasFailed = true
        }
    }

    /// The host's addresses, as they are now.
    mutating func enter(_ addresses: Set<IPAddress>) throws {
        try ownAddresses.set(addresses) { addresses throws(XDPError) in try tables.setLocalAddresses(addresses) }
    }

    /// The same; when the program cannot take them the rest of the network's change counts all the same.
    mutating func follow(_ addresses: Set<IPAddress>) {
        do {
            try enter(addresses)
        } catch {
            logger.error(
                "the steering program does not know all of the host's addresses; tried again within a second",
                metadata: ["error": "\(error)"])
        }
    }

    /// Tries again what has failed; called once a second.
    mutating func secondPassed(
        _ network: NetworkState, addresses: Set<IPAddress>, _ returns: inout PortReturns, _ ports: [XDPPort]
    ) {
        if hasFailed, (try? tables.retry()) != nil {
            hasFailed = false
            follow(network, &returns, ports)
        }
        if ownAddresses.areStale { follow(addresses) }
    }
}

/// The host's own addresses as the steering program is to know them. What could not be entered is tried again until it is: a
/// packet for an address that the program does not know is the kernel's, ESP too.
struct OwnAddresses {
    /// The addresses that the program has, as far as is known; nil after a failure.
    private var entered: Set<IPAddress>?

    /// Whether the last try failed.
    var areStale: Bool { entered == nil }

    init() { entered = [] }

    /// Enters what has changed, or everything after a failure.
    mutating func set<Failure: Error>(
        _ addresses: Set<IPAddress>, by enter: (Set<IPAddress>) throws(Failure) -> Void
    ) throws(Failure) {
        guard addresses != entered else { return }
        entered = nil
        try enter(addresses)
        entered = addresses
    }
}
