import Cryptography
import IPsec
import Packets

/// A kind of CHILD_SA: a section of `children` in swanctl.conf. Times are in seconds; 0 is "never".
package struct Child: Hashable, Sendable {
    /// `start_action` and `close_action`: what to do when the configuration is loaded, or the CHILD_SA is closed.
    package enum Action: String, Hashable, Sendable, CaseIterable {
        case none
        /// Wait for a packet that wants it.
        case trap
        /// Negotiate at once.
        case start
        /// Negotiate at once, and again on a packet (`trap|start`).
        case trapAndStart = "trap|start"

        package var traps: Bool { self == .trap || self == .trapAndStart }
        package var starts: Bool { self == .start || self == .trapAndStart }
    }

    /// `dpd_action`: what to do with a child whose peer is gone.
    package enum DeadPeerAction: String, Hashable, Sendable, CaseIterable {
        case clear, trap, restart
        case trapAndRestart = "trap|restart"
    }

    /// `mode = pass | drop`: no CHILD_SA, but what becomes of packets that are for none (RFC 4301 section 4.4.1: BYPASS and DISCARD).
    package enum Shunt: String, Hashable, Sendable, CaseIterable {
        /// Goes the host's own way, before whatever another child protects.
        case pass
        /// Packets are dropped unless another child protects them.
        case drop
    }

    /// A lifetime in one unit: seconds, bytes or packets; 0: without an end.
    package struct Limit: Hashable, Sendable {
        /// `rekey_*`: soft.
        package var rekey: UInt64
        /// `life_*`: hard.
        package var life: UInt64
        /// `rand_*`: the soft limit comes up to so much earlier.
        package var random: UInt64

        package init(rekey: UInt64 = 0, life: UInt64 = 0, random: UInt64 = 0) {
            self.rekey = rekey
            self.life = life
            self.random = random
        }
    }

    package var name: String
    package var mode = SAMode.tunnel
    /// The treatment of packets that are not protected; nil: the child is negotiated.
    package var shunt: Shunt?
    /// Whether it is not served, for a fault in its configuration. What it covers stays closed all the same.
    package var isRefused = false
    /// Whether CHILD_SAs are made for it.
    package var isNegotiated: Bool { shunt == nil && !isRefused }
    /// The proposals in order of preference; never empty.
    package var proposals: [ChildProposal]
    package var localSelectors: [SelectorSide] = [.dynamic]
    package var remoteSelectors: [SelectorSide] = [.dynamic]
    package var startAction = Action.none
    package var closeAction = Action.none
    package var deadPeerAction = DeadPeerAction.clear
    package var time = Limit(rekey: 3600, life: 3960, random: 360)
    package var bytes = Limit()
    package var packets = Limit()
    /// `sha256_96`: HMAC-SHA-256 is cut to 96 bits, as an early draft of RFC 4868 had it; negotiated like the 128 bits.
    package var cutsSHA256To96Bits = false
    /// Packets; 0: no replay protection; nil: what the gateway has for SAs that name none (`--replay-window`).
    package var replayWindow: Int?
    /// 0: chosen by us.
    package var requestID: UInt32 = 0
    package var copiesDSCP = true
    package var copiesECN = true
    package var dontFragment = DFPolicy.copy
    /// Priority of its policies; nil: by how narrow the selectors are.
    package var priority: UInt32?

    /// The transform of an SA whose negotiation came to `negotiated`.
    func transform(_ negotiated: ESPTransform) -> ESPTransform {
        guard cutsSHA256To96Bits, negotiated.integrity == .hmacSHA256_128 else { return negotiated }
        return (try? ESPTransform(encryption: negotiated.encryption, integrity: .hmacSHA256_96)) ?? negotiated
    }

    /// `mode` of swanctl.conf.
    package var modeName: String { shunt?.rawValue ?? mode.rawValue }

    package init(name: String, proposals: [ChildProposal]) {
        self.name = name
        self.proposals = proposals
    }
}

/// One item of `local_ts` or `remote_ts`: the packets of one side.
package struct SelectorSide: Hashable, Sendable {
    /// The addresses; nil: `dynamic`, the address of the IKE endpoint of this side.
    package var addresses: AddressRange?
    /// The protocol; nil: any.
    package var protocolNumber: UInt8?
    package var ports: ClosedRange<UInt16>
    /// `/opaque`: packets whose ports cannot be seen (RFC 7296 section 3.13.1).
    package var hasOpaquePorts = false

    package static let dynamic = SelectorSide()

    package init(
        addresses: AddressRange? = nil, protocolNumber: UInt8? = nil,
        ports: ClosedRange<UInt16> = TrafficSelector.anyPort
    ) {
        self.addresses = addresses
        self.protocolNumber = protocolNumber
        self.ports = ports
    }
}
