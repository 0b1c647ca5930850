import CLibBPF
public import Packets

/// One of the host's interfaces on a port, as frames name it: the port itself, a VLAN on it, or a MAC-VLAN.
///
/// Frames for other MAC addresses or with other tags are not for this host, whatever IP addresses they carry.
public struct PortLink: Hashable, Sendable {
    public var macAddress: MACAddress
    /// The 802.1Q identifier; nil: without a tag, or with one that only gives a priority.
    public var vlan: UInt16?
    public var roles: PortRoles

    public init(_ macAddress: MACAddress, vlan: UInt16? = nil, roles: PortRoles) {
        self.macAddress = macAddress
        self.vlan = vlan
        self.roles = roles
    }

    var key: sluice_link {
        var key = sluice_link()
        withUnsafeMutableBytes(of: &key.mac) { bytes in
            if let base = bytes.baseAddress { macAddress.store(to: base) }
        }
        key.vlan = vlan ?? 0
        return key
    }
}
