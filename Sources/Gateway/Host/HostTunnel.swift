import Netlink

/// The TUN device of the slow path, shared between the thread that moves packets and the routes that lead to it. The
/// interface goes away with the last reference.
final class HostTunnel: Sendable {
    let device: TUNDevice
    /// In bytes.
    let mtu: UInt32

    init(_ device: consuming TUNDevice, mtu: UInt32) {
        self.device = device
        self.mtu = mtu
    }

    var name: String { device.name }
    var interfaceIndex: UInt32 { device.interfaceIndex }
}
