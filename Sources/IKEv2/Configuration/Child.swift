import Cryptography
import IPsec
import Packets

/// A kind of CHILD_SA: a section of `children` in swanctl.conf. Times are in seconds; 0 is "never".
public struct Child: Hashable, Sendable {
    /// `start_action` and `close_action`: what to do when the configuration is loaded, or the CHILD_SA is closed.
    public enum Action: String, Hashable, Sendable, CaseIterable {
        case none
        /// Wait for a packet that wants it.
        case trap
        /// Negotiate at once.
        case start
        /// Negotiate at once, and again on a packet (`trap|start`).
        case trapAndStart = "trap|start"

        public var traps: Bool { self == .trap || self == .trapAndStart }
        public var starts: Bool { self == .start || self == .trapAndStart }
    }

    /// `dpd_action`: what to do with a child whose peer is gone.
    public enum DeadPeerAction: String, Hashable, Sendable, CaseIterable {
        case clear, trap, restart
        case trapAndRestart = "trap|restart"
    }

    /// `mode = pass | drop`: no CHILD_SA, but what becomes of packets that are for none (RFC 4301 section 4.4.1: BYPASS and DISCARD).
    public enum Shunt: String, Hashable, Sendable, CaseIterable {
        /// Goes the host's own way, before whatever another child protects.
        case pass
        /// Packets are dropped unless another child protects them.
        case drop
    }

    /// A lifetime in one unit: seconds, bytes or packets; 0: without an end.
    public struct Limit: Hashable, Sendable {
        /// `rekey_*`: soft.
        public var rekey: UInt64
        /// `life_*`: hard.
        public var life: UInt64
        /// `rand_*`: the soft limit comes up to so much earlier.
        public var random: UInt64

        public init(rekey: UInt64 = 0, life: UInt64 = 0, random: UInt64 = 0) {
            self.rekey = rekey
            self.life = life
            self.random = random
        }
    }

    public var name: String
    public var mode = SAMode.tunnel
    /// The treatment of packets that are not protected; nil: the child is negotiated.
    public var shunt: Shunt?
    /// Whether it is not served, for a fault in its configuration. What it covers stays closed all the same.
    public var isRefused = false
    /// Whether CHILD_SAs are made for it.
    public var isNegotiated: Bool { shunt == nil && !isRefused }
    /// The proposals in order of preference; never empty.
    public var proposals: [ChildProposal]
    public var localSelectors: [SelectorSide] = [.dynamic]
    public var remoteSelectors: [SelectorSide] = [.dynamic]
    public var startAction = Action.none
    public var closeAction = Action.none
    public var deadPeerAction = DeadPeerAction.clear
    public var time = Limit(rekey: 3600, life: 3960, random: 360)
    public var bytes = Limit()
    public var packets = Limit()
    /// `sha256_96`: HMAC-SHA-256 is cut to 96 bits, as an early draft of RFC 4868 had it; negotiated like the 128 bits.
    public var cutsSHA256To96Bits = false
    /// Packets; 0: no replay protection; nil: what the gateway has for SAs that name none (`--replay-window`).
    public var replayWindow: Int?
    /// 0: chosen by us.
    public var requestID: UInt32 = 0
    public var copiesDSCP = true
    public var copiesECN = true
    public var dontFragment = DFPolicy.copy
    /// Priority of its policies; nil: by how narrow the selectors are.
    public var priority: UInt32?

    /// The transform of an SA whose negotiation came to `negotiated`.
    func transform(_ negotiated: ESPTransform) -> ESPTransform {
        guard cutsSHA256To96Bits, negotiated.integrity == .hmacSHA256_128 else { return negotiated }
        return (try? ESPTransform(encryption: negotiated.encryption, integrity: .hmacSHA256_96)) ?? negotiated
    }

    /// `mode` of swanctl.conf.
    public var modeName: String { shunt?.rawValue ?? mode.rawValue }

    public init(name: String, proposals: [ChildProposal]) {
        self.name = name
        self.proposals = proposals
    }
}

/// One item of `local_ts` or `remote_ts`: the packets of one side.
public struct SelectorSide: Hashable, Sendable {
    /// The addresses; nil: `dynamic`, the address of the IKE endpoint of this side.
    public var addresses: AddressRange?
    /// The protocol; nil: any.
    public var protocolNumber: UInt8?
    public var ports: ClosedRange<UInt16>
    /// `/opaque`: packets whose ports cannot be seen (RFC 7296 section 3.13.1).
    public var hasOpaquePorts = false

    public static let dynamic = SelectorSide()

    public init(
        addresses: AddressRange? = nil, protocolNumber: UInt8? = nil,
        ports: ClosedRange<UInt16> = TrafficSelector.anyPort
    ) {
        self.addresses = addresses
        self.protocolNumber = protocolNumber
        self.ports = ports
    }
}
