import Synchronization
import XDP

/// The ports that the workers serve, by number: one that came back as another interface takes the place of what it was.
final class ServedPorts: Sendable {
    private let ports: Mutex<[XDPPort]>

    init(_ ports: [XDPPort]) { self.ports = Mutex(ports) }

    var current: [XDPPort] { ports.withLock { $0 } }

    func replace(_ number: Int, by port: XDPPort) { ports.withLock { $0[number] = port } }
}
