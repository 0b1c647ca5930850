import CLinux
import Packets

/// A host on the same link (`RTM_NEWNEIGH`): ARP (RFC 826) or neighbour discovery (RFC 4861).
package struct Neighbour: Hashable, Sendable {
    /// The key that tells neighbours apart.
    package struct Key: Hashable, Sendable {
        package var interfaceIndex: UInt32
        package var address: IPAddress

        package init(interfaceIndex: UInt32, address: IPAddress) {
            self.interfaceIndex = interfaceIndex
            self.address = address
        }
    }

    /// `NUD_…`, RFC 4861 section 7.3.2 and the kernel's additions.
    package enum State: UInt16, Sendable {
        case none = 0x00
        case incomplete = 0x01
        case reachable = 0x02
        case stale = 0x04
        case delay = 0x08
        case probe = 0x10
        case failed = 0x20
        case noARP = 0x40
        case permanent = 0x80

        /// Whether packets may be sent to the recorded address. A stale one may be used too, while it is verified.
        package var isValid: Bool {
            switch self {
            case .reachable, .stale, .delay, .probe, .noARP, .permanent: true
            case .none, .incomplete, .failed: false
            }
        }
    }

    package var key: Key
    package var macAddress: MACAddress?
    package var state: State
    /// RFC 4861: the neighbour is a router.
    package var isRouter: Bool

    /// The address to send to, if it may be used.
    package var usableMACAddress: MACAddress? { state.isValid ? macAddress : nil }

    package init(key: Key, macAddress: MACAddress?, state: State, isRouter: Bool = false) {
        self.key = key
        self.macAddress = macAddress
        self.state = state
        self.isRouter = isRouter
    }
}

extension Neighbour {
    /// Reads the payload of `RTM_NEWNEIGH` or `RTM_DELNEIGH`.
    ///
    /// nil when malformed, or not about a neighbour on the link: bridge forwarding entries and proxy entries use the same
    /// message type.
    init?(payload: UnsafeRawBufferPointer) {
        guard let fixed = payload.load(ndmsg.self), let family = AddressFamily(kernel: fixed.ndm_family),
            fixed.ndm_ifindex > 0, fixed.ndm_flags & UInt8(NTF_PROXY) == 0,
            let state = State(rawValue: fixed.ndm_state)
        else { return nil }
        var address: IPAddress?
        var macAddress: MACAddress?
        for (type, value) in AttributeSequence(payload, behind: ndmsg.self) {
            switch type {
            case Int(NDA_DST): address = value.address(family)
            case Int(NDA_LLADDR): macAddress = value.macAddress
            default: break
            }
        }
        guard let address else { return nil }
        self.init(
            key: Key(interfaceIndex: UInt32(fixed.ndm_ifindex), address: address), macAddress: macAddress,
            state: state, isRouter: fixed.ndm_flags & UInt8(NTF_ROUTER) != 0)
    }
}
