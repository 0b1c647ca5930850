import CXDP
public import Packets
import Platform

/// A network interface as it was when the port was opened.
public struct NetworkInterface: Sendable, Equatable {
    /// Its name in this network namespace.
    public let name: String
    /// Its index in this network namespace.
    public let index: Int32
    /// Bytes of IP packet that fit.
    public let mtu: Int
    /// Whether it is administratively up.
    public let isUp: Bool
    /// The number of receive queues that the driver has in use (`ethtool -l`); 1 when it doesn't say.
    public let queueCount: Int

    /// The address of frames for the host.
    public let macAddress: MACAddress
    /// The name of its driver (`ethtool -i`), empty when it doesn't say.
    public let driver: String

    /// Looks the interface up in the calling thread's network namespace.
    public init(named name: String) throws(XDPError) {
        guard !name.isEmpty, name.utf8.count < Int(IFNAMSIZ) else { throw .noSuchInterface(name) }
        guard let index = SystemNames.interfaceIndex(name) else { throw .noSuchInterface(name) }
        var flags: Int32 = 0
        var mtu: Int32 = 0
        let error = sluice_interface_state(name, &flags, &mtu)
        guard error == 0 else { throw .systemCall(place: "read the state of \(name)", errno: error) }
        var address = [UInt8](repeating: 0, count: 6)
        let noAddress = sluice_interface_address(name, &address)
        guard noAddress == 0 else { throw .systemCall(place: "read the MAC address of \(name)", errno: noAddress) }
        macAddress = address.withUnsafeBytes { bytes in
            bytes.baseAddress.map(MACAddress.init(loading:)) ?? MACAddress(0)
        }
        var driver = [CChar](repeating: 0, count: 32)
        sluice_interface_driver(name, &driver)
        self.driver = String(decoding: driver.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        self.name = name
        self.index = Int32(bitPattern: index)
        self.mtu = Int(mtu)
        isUp = flags & Int32(IFF_UP) != 0
        queueCount = max(1, Int(sluice_interface_receive_queues(name)))
    }
}
