import Logging
import Netlink
import Packets
import XDP

/// Ports whose interfaces were removed and are back under another index. The workers' sockets belong to the old interface and
/// cannot move, but a steering program comes onto the new one at once, so that nothing passes there in clear.
struct PortReturns {
    private let plan: PortPlan
    private let tables: SteeringTables
    private let options: GatewayOptions
    private let logger: Logger
    /// By the port's number.
    private var returned: [Int: UnservedPort] = [:]
    /// Indices of interfaces that no program could be attached to: said once.
    private var failed: Set<UInt32> = []

    init(_ parts: ControlParts, logger: Logger) {
        plan = parts.plan
        tables = parts.tables
        options = parts.options
        self.logger = logger
    }

    /// The ports by the indices that their interfaces have now.
    var ports: [UInt32: SteeringView.Port] {
        var result: [UInt32: SteeringView.Port] = [:]
        for (number, port) in plan.ports.enumerated() {
            let index = returned[number].map { UInt32(bitPattern: $0.interface.index) } ?? port.interface.index
            result[index] = SteeringView.Port(number: number, roles: port.roles)
        }
        return result
    }

    /// The program on a port that is back.
    func program(_ number: Int) -> SteeringProgram? { returned[number]?.program }

    /// Attaches programs to interfaces that are back.
    mutating func follow(_ state: NetworkState) {
        for (number, port) in plan.ports.enumerated() where state.links[port.interface.index] == nil {
            guard let link = state.links.values.first(where: { $0.name == port.interface.name }),
                UInt32(bitPattern: returned[number]?.interface.index ?? 0) != link.index
            else { continue }
            attach(number, port, link.index)
        }
    }

    private mutating func attach(_ number: Int, _ port: PortPlan.Port, _ index: UInt32) {
        let name = port.interface.name
        returned[number] = nil
        do throws(XDPError) {
            var settings = PortOptions()
            settings.xdpMode = options.xdpMode
            settings.force = options.force
            returned[number] = try UnservedPort(
                interface: name, roles: port.roles, tables: tables, options: settings)
            failed.remove(index)
            logger.error(
                "port is back as another interface: what has to be protected is dropped there; restart the gateway",
                metadata: ["port": "\(name)"])
        } catch {
            guard failed.insert(index).inserted else { return }
            logger.critical(
                "port is back without its steering program; restart the gateway",
                metadata: ["port": "\(name)", "error": "\(error)"])
        }
    }
}
