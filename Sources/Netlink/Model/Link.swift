import CLinux
import Packets
import Platform

/// A network interface as the kernel describes it (`RTM_NEWLINK`).
package struct Link: Hashable, Sendable {
    /// RFC 2863 `ifOperStatus`.
    package enum OperationalState: UInt8, Sendable {
        case unknown, notPresent, down, lowerLayerDown, testing, dormant, up
    }

    package var index: UInt32
    package var name: String
    /// The link-layer address; nil when there is none of six bytes (a TUN device, a tunnel).
    package var macAddress: MACAddress?
    /// Largest IP packet in bytes.
    package var mtu: UInt32
    /// `IFF_UP`: somebody wants the interface to be up.
    package var isUp: Bool
    /// `IFF_LOWER_UP`: the carrier is there.
    package var hasCarrier: Bool
    package var isLoopback: Bool
    package var operationalState: OperationalState
    /// "veth", "vlan", "bridge", "tun"; nil for plain devices.
    package var kind: String?
    /// The bridge or bond that the interface belongs to.
    package var master: UInt32?
    /// The interface below (of a VLAN), or the other end (of a veth).
    package var lower: UInt32?
    /// 802.1Q identifier of a link of kind "vlan"; nil for 802.1ad, whose tag has another type.
    package var vlanIdentifier: UInt16?
    package var receiveQueues: UInt32
    package var transmitQueues: UInt32

    /// Whether packets can be sent now.
    package var isUsable: Bool {
        isUp && hasCarrier && operationalState != .lowerLayerDown && operationalState != .notPresent
    }

    package init(
        index: UInt32, name: String, macAddress: MACAddress? = nil, mtu: UInt32 = 1500, isUp: Bool = true,
        hasCarrier: Bool = true, isLoopback: Bool = false, operationalState: OperationalState = .unknown,
        kind: String? = nil, master: UInt32? = nil, lower: UInt32? = nil, vlanIdentifier: UInt16? = nil,
        receiveQueues: UInt32 = 1, transmitQueues: UInt32 = 1
    ) {
        self.index = index
        self.name = name
        self.macAddress = macAddress
        self.mtu = mtu
        self.isUp = isUp
        self.hasCarrier = hasCarrier
        self.isLoopback = isLoopback
        self.operationalState = operationalState
        self.kind = kind
        self.master = master
        self.lower = lower
        self.vlanIdentifier = vlanIdentifier
        self.receiveQueues = receiveQueues
        self.transmitQueues = transmitQueues
    }
}

extension Link {
    /// `IFF_LOWER_UP` of linux/if.h, which the C library's net/if.h lacks.
    static let lowerUpFlag: UInt32 = 1 << 16

    /// Reads the payload of `RTM_NEWLINK` or `RTM_DELLINK`.
    ///
    /// nil when it is malformed, or not about a link as such: a bridge reports its ports with the same message type and
    /// family AF_BRIDGE, and "deleted" there means that the port has left the bridge.
    init?(payload: UnsafeRawBufferPointer) {
        guard let fixed = payload.load(ifinfomsg.self), Int32(fixed.ifi_family) == AddressFamily.noDomain,
            fixed.ifi_index > 0
        else { return nil }
        self.init(
            index: UInt32(fixed.ifi_index), name: "", mtu: 0,
            isUp: fixed.ifi_flags & InterfaceFlags.up != 0,
            hasCarrier: fixed.ifi_flags & Self.lowerUpFlag != 0,
            isLoopback: fixed.ifi_flags & InterfaceFlags.loopback != 0)
        for (type, value) in AttributeSequence(payload, behind: ifinfomsg.self) {
            read(attribute: type, value)
        }
        guard !name.isEmpty else { return nil }
    }

    private mutating func read(attribute type: Int, _ value: UnsafeRawBufferPointer) {
        switch type {
        case Int(IFLA_IFNAME): name = value.text
        case Int(IFLA_ADDRESS): macAddress = value.macAddress
        case Int(IFLA_MTU): mtu = value.load(UInt32.self) ?? mtu
        case Int(IFLA_OPERSTATE):
            operationalState = value.load(UInt8.self).flatMap(OperationalState.init) ?? .unknown
        case Int(IFLA_MASTER): master = value.load(UInt32.self)
        case Int(IFLA_LINK): lower = value.load(UInt32.self)
        case Int(IFLA_NUM_RX_QUEUES): receiveQueues = value.load(UInt32.self) ?? receiveQueues
        case Int(IFLA_NUM_TX_QUEUES): transmitQueues = value.load(UInt32.self) ?? transmitQueues
        case Int(IFLA_LINKINFO): readInformation(value)
        default: break
        }
    }

    private mutating func readInformation(_ nested: UnsafeRawBufferPointer) {
        var data: UnsafeRawBufferPointer?
        for (type, value) in AttributeSequence(nested) {
            switch type {
            case Int(IFLA_INFO_KIND): kind = value.text
            case Int(IFLA_INFO_DATA): data = value
            default: break
            }
        }
        // The meaning of the data depends on the kind, which need not come first.
        guard kind == "vlan", let data else { return }
        var tagType = EtherType.vlan
        for (type, value) in AttributeSequence(data) {
            switch type {
            case Int(IFLA_VLAN_ID): vlanIdentifier = value.load(UInt16.self)
            case Int(IFLA_VLAN_PROTOCOL): tagType = value.load(UInt16.self).map { UInt16(bigEndian: $0) } ?? tagType
            default: break
            }
        }
        if tagType != EtherType.vlan { vlanIdentifier = nil }
    }
}
