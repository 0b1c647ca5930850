import Logging
import XDP

/// Looks for receive queues that a port has got since it was opened. They have no socket, so what would go into one is dropped.
struct QueueCheck {
    /// Queues that were told of, by the port's number.
    private var told: [Int: Int] = [:]

    /// To be called now and then.
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
