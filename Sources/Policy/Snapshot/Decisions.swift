import IPsec
import Packets
import Telemetry

/// What the security policy database says about an outbound packet (RFC 4301 section 5.1).
@frozen
public struct OutboundDecision: BitwiseCopyable, @unchecked Sendable {
    public let action: PolicyAction
    /// The worker that owns the SA; the asking worker when there is no SA.
    public let owner: UInt16
    /// Names the policy (`Snapshot.policy(at:)`); `noPolicy` when none matches.
    public let policyIndex: UInt32
    /// The SA to use. nil with `.protect`: there is none, so one has to be acquired.
    public let sa: UnsafeMutablePointer<OutboundRuntime>?
    /// The SA's outer destination, to be routed to; the packet's destination when there is no SA.
    public let destination: IPAddress

    @inlinable
    init(
        action: PolicyAction, owner: UInt16, policyIndex: UInt32, sa: UnsafeMutablePointer<OutboundRuntime>?,
        destination: IPAddress
    ) {
        self.action = action
        self.owner = owner
        self.policyIndex = policyIndex
        self.sa = sa
        self.destination = destination
    }

    /// The policy index when no policy matches.
    @inlinable
    public static var noPolicy: UInt32 { .max }

    /// A pass when the packet goes on, protected or bypassed; else why it is dropped.
    @inlinable
    public var verdict: Verdict {
        switch action {
        case .protect: sa == nil ? .drop(.noOutboundSA) : .pass
        case .bypass: .pass
        case .discard: .drop(.notEncryptedByPolicy)
        case .none: .drop(.noPolicy)
        case .needsReassembly: .drop(.fragmentNeedsReassembly)
        }
    }
}

/// Whether a decrypted packet may go on (RFC 4301 section 5.2).
@frozen
public struct InboundDecision: BitwiseCopyable, Sendable {
    public let verdict: Verdict
    /// Names the policy (`Snapshot.policy(at:)`); `OutboundDecision.noPolicy` when none matches.
    public let policyIndex: UInt32

    @inlinable
    init(_ verdict: Verdict, policyIndex: UInt32) {
        self.verdict = verdict
        self.policyIndex = policyIndex
    }
}
