import IKEv2Messages
import Packets

/// Opens protected messages, and keeps the fragments of those that are not complete (RFC 7383).
struct MessageOpener {
    /// The size of a message on the wire.
    struct Size {
        var bytes: Int
        var fragments = 1
    }

    enum Outcome {
        case message(Message, Size)
        /// Authentic, but its content is no chain of payloads: the sender may be told.
        case undecodable(DecodingFailure)
        /// Forged or damaged, or a fragment of a message that is not complete.
        case nothing
    }

    /// The trust that says how much a peer may have us keep.
    enum Trust {
        /// The peer began, and has not proved who it is.
        case unproven
        /// We began, and it has not proved who it is.
        case asked
        case proven
    }

    /// Fragments of messages that are not complete; nil while there are none.
    private var reassembler: FragmentReassembler?
    /// The time at which these are forgotten unless another one comes; nil: there are none.
    private(set) var endsAt: Instant?

    var isEmpty: Bool { reassembler == nil }

    /// Opens a message or, with its last fragment, the whole of them. Fragments are taken whatever `fragmentation` says:
    /// that is about what we announce and send (swanctl.conf(5)).
    mutating func open(
        _ message: ReceivedMessage, _ protection: Protection, _ trust: Trust, _ step: Step
    ) -> Outcome {
        if message.encrypted?.fragment != nil { return openFragment(message, protection, trust, step) }
        do {
            let opened = try message.open(with: protection.inbound)
            return .message(opened, Size(bytes: message.bytes.count))
        } catch .decoding(let failure) {
            return .undecodable(failure)
        } catch {
            return .nothing
        }
    }

    private mutating func openFragment(
        _ message: ReceivedMessage, _ protection: Protection, _ trust: Trust, _ step: Step
    ) -> Outcome {
        var reassembler = self.reassembler ?? FragmentReassembler(limits: Self.limits(trust, step.settings))
        // Out of the way, so that the storage is changed in place.
        self.reassembler = nil
        let outcome = reassembler.receive(message, cipher: protection.inbound)
        keep(reassembler, outcome, step)
        switch outcome {
        case .complete(let content):
            let overhead = IKEHeader.length + 8 + protection.inbound.ivLength + protection.inbound.icvLength + 1
            let size = Size(
                bytes: content.content.count + content.fragments * overhead, fragments: content.fragments)
            do {
                return .message(try content.message(), size)
            } catch {
                return .undecodable(error)
            }
        case .discarded(.tooLarge), .discarded(.tooManyFragments):
            step.environment.fragmentedMessageRefused()
            return .nothing
        case .waiting, .discarded: return .nothing
        }
    }

    /// Longer than between two repetitions of a request.
    private static let lifetimeInSeconds: UInt64 = 60

    /// Keeps what is still incomplete until no new fragment has come for a while (RFC 7383 section 2.6).
    private mutating func keep(
        _ reassembler: FragmentReassembler, _ outcome: FragmentReassembler.Outcome, _ step: Step
    ) {
        if reassembler.storedBytes == 0 { return forget() }
        self.reassembler = reassembler
        if case .waiting = outcome {
            endsAt = step.now + .seconds(Self.lifetimeInSeconds)
        }
    }

    mutating func forget() {
        reassembler = nil
        endsAt = nil
    }

    /// Bytes of content of a fragmented message of a peer that began and has not proved who it is. A long chain of
    /// certificates fits; of what thousands of strangers send, no more is kept.
    static let unprovenContentInBytes = 24 << 10

    /// A peer that has not proved who it is gets room for one message, any other for two: a request and a response.
    private static func limits(_ trust: Trust, _ settings: ProtocolSettings) -> FragmentReassembler.Limits {
        var limits = FragmentReassembler.Limits()
        limits.contentBytes = settings.maximumFragmentedMessageInBytes
        limits.messages = trust == .proven ? 2 : 1
        if trust == .unproven { limits.contentBytes = min(limits.contentBytes, Self.unprovenContentInBytes) }
        return limits
    }
}
