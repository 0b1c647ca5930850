import Logging
import Packets
import Policy
import XDP

/// One log line for each thing that happens to a port.
enum PortChanges {
    static func log(_ ports: [PortPlan.Port], before: ForwardingView, after: ForwardingView, _ logger: Logger) {
        for (number, port) in ports.enumerated() {
            let old = before.interfaces.first { $0.port == UInt16(number) && $0.vlan == nil }
            let new = after.interfaces.first { $0.port == UInt16(number) && $0.vlan == nil }
            for (level, message) in differences(old, new) {
                logger.log(level: level, "\(message)", metadata: ["port": "\(port.interface.name)"])
            }
        }
    }

    /// The words about a port that looked so and looks so now; nil: it is not there.
    static func differences(_ old: PortInterface?, _ new: PortInterface?) -> [(Logger.Level, String)] {
        guard let new else {
            return old == nil ? [] : [(.error, "port is gone")]
        }
        guard let old else { return [(.notice, "port is back")] }
        var lines: [(Logger.Level, String)] = []
        if old.isUp != new.isUp { lines.append(new.isUp ? (.notice, "port is up") : (.warning, "port is down")) }
        if old.mtu != new.mtu { lines.append((.notice, "port's MTU is \(new.mtu), was \(old.mtu)")) }
        if old.linkAddress != new.linkAddress {
            lines.append((.notice, "port's link address is \(new.linkAddress), was \(old.linkAddress)"))
        }
        if old.addresses != new.addresses {
            let list = new.addresses.map(\.description).joined(separator: " ")
            lines.append((.notice, "port's addresses are \(list.isEmpty ? "none" : list)"))
        }
        return lines
    }
}

/// Looks for receive queues that a port has got since it was opened. They have no socket, so what would go into one is dropped.
struct QueueCheck {
    /// Queues that were told of, by the port's number.
    private var told: [Int: Int] = [:]

    /// Looks at the ports again; called now and then.
    mutating func look(_ ports: [XDPPort], _ logger: Logger) {
        for (number, port) in ports.enumerated() {
            guard let now = try? NetworkInterface(named: port.interface.name), now.index == port.interface.index,
                now.queueCount != told[number] ?? port.queueCount
            else { continue }
            told[number] = now.queueCount
            guard now.queueCount > port.queueCount else { continue }
            logger.error(
                "port has more queues than at the start: protected packets of the new ones are dropped; take them back with ethtool -L, or restart the gateway",
                metadata: [
                    "port": "\(port.interface.name)", "queues": "\(now.queueCount)", "served": "\(port.queueCount)",
                ])
        }
    }
}
