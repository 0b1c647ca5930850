import IKEv2Messages

/// How large a message was on the wire.
struct OpenedSize {
    var bytes: Int
    var fragments = 1
}

/// What came of opening a protected message.
enum OpenedMessage {
    case message(Message, OpenedSize)
    /// Authentic, but its content is no chain of payloads: the sender may be told.
    case undecodable(DecodingFailure)
    /// Forged or damaged, or a fragment of a message that is not complete.
    case nothing
}

extension Session {
    /// Opens a message or, with its last fragment, the whole of them. Fragments are taken whatever `fragmentation` says:
    /// that is about what we announce and send (swanctl.conf(5)).
    func open(_ message: ReceivedMessage, _ protection: Protection, _ step: Step) -> OpenedMessage {
        if message.encrypted?.fragment != nil { return openFragment(message, protection, step) }
        do {
            let opened = try message.open(with: protection.inbound)
            return .message(opened, OpenedSize(bytes: message.bytes.count))
        } catch .decoding(let failure) {
            return .undecodable(failure)
        } catch {
            return .nothing
        }
    }

    /// Whether the message, or the fragment, was made by someone who has the keys.
    func isAuthentic(_ message: ReceivedMessage, _ protection: Protection) -> Bool {
        (try? message.openContent(with: protection.inbound)) != nil
    }

    private func openFragment(_ message: ReceivedMessage, _ protection: Protection, _ step: Step) -> OpenedMessage {
        var reassembler = self.reassembler ?? FragmentReassembler(limits: reassemblyLimits(step.settings))
        // Out of the way, so that the storage is changed in place.
        self.reassembler = nil
        let outcome = reassembler.receive(message, cipher: protection.inbound)
        keep(reassembler, outcome, step)
        switch outcome {
        case .complete(let content):
            let overhead = IKEHeader.length + 8 + protection.inbound.ivLength + protection.inbound.icvLength + 1
            let size = OpenedSize(
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
    private static let fragmentLifetimeInSeconds: UInt64 = 60

    /// What is still incomplete stays until no new fragment has come for a while (RFC 7383 section 2.6).
    private func keep(_ reassembler: FragmentReassembler, _ outcome: FragmentReassembler.Outcome, _ step: Step) {
        if reassembler.storedBytes == 0 { return forgetFragments() }
        self.reassembler = reassembler
        if case .waiting = outcome {
            reassemblyEndsAt = step.now.addingWithoutOverflow(.seconds(Self.fragmentLifetimeInSeconds))
        }
    }

    func forgetFragments() {
        reassembler = nil
        reassemblyEndsAt = nil
    }

    /// Bytes of content of a fragmented message of a peer that began and has not proved who it is. A long chain of
    /// certificates fits; of what thousands of strangers send, no more is kept.
    static let unprovenContentInBytes = 24 << 10

    /// A peer that has not proved who it is gets room for one message, any other for two: a request and a response.
    private func reassemblyLimits(_ settings: ProtocolSettings) -> FragmentReassembler.Limits {
        var limits = FragmentReassembler.Limits()
        limits.contentBytes = settings.maximumFragmentedMessageInBytes
        limits.messages = isEstablished ? 2 : 1
        if !isEstablished, role == .responder {
            limits.contentBytes = min(limits.contentBytes, Self.unprovenContentInBytes)
        }
        return limits
    }
}
