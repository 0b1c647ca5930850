import FuzzSupport
import IKEv2Messages

/// Fragments, both ways. As a stream of fragments (a length byte before each datagram) the input goes through a
/// reassembler, which must stay within its memory. As content it is cut into fragments for a size that its first byte
/// gives, and must come together again.
@main
enum FuzzIKEFragments {
    static func main() {
        fuzz { input, count in
            let bytes = Array(UnsafeRawBufferPointer(start: input, count: count))
            reassemble(bytes)
            cut(bytes)
        }
    }

    private static func reassemble(_ bytes: [UInt8]) {
        var limits = FragmentReassembler.Limits()
        limits.fragments = 8
        limits.contentBytes = 200
        var reassembler = FragmentReassembler(limits: limits)
        var rest = bytes[...]
        while let length = rest.popFirst() {
            let datagram = Array(rest.prefix(Int(length)))
            rest = rest.dropFirst(Int(length))
            guard let received = try? ReceivedMessage(decoding: datagram) else { continue }
            if case .complete(let content) = reassembler.receive(received, cipher: NullCipher()) {
                require(content.content.count <= limits.contentBytes, "\(content.content.count) bytes")
                require(content.fragments <= limits.fragments, "\(content.fragments) fragments")
                _ = try? content.message()
            }
            require(reassembler.storedBytes <= limits.messages * limits.contentBytes, "stored bytes")
        }
    }

    private static func cut(_ bytes: [UInt8]) {
        guard bytes.count >= 2 else { return }
        let header = IKEHeader(
            initiatorSPI: 1, responderSPI: 2, exchange: .authentication, direction: .request, isFromInitiator: true,
            messageID: 1)
        let outer: [Payload] = bytes[1] & 1 == 0 ? [] : [.vendorID(VendorIDPayload(Array(bytes.prefix(20))))]
        let message = Message(
            header: header, payloads: outer, encryptedPayloads: [.vendorID(VendorIDPayload(Array(bytes.dropFirst(2))))])
        let length = 60 + Int(bytes[0])
        guard
            let datagrams = try? message.sealed(
                with: NullCipher(), maximumLength: length, moreThan: Int(bytes[1] >> 5))
        else {
            require(length < 60 + 32, "\(length) bytes are enough")
            return
        }
        require(datagrams.allSatisfy { $0.count <= length }, "a fragment of more than \(length) bytes")
        var limits = FragmentReassembler.Limits()
        limits.fragments = .max
        var reassembler = FragmentReassembler(limits: limits)
        for datagram in datagrams.reversed() {
            guard let received = try? ReceivedMessage(decoding: datagram) else {
                return require(false, "a fragment of our own does not decode")
            }
            if received.encrypted?.fragment == nil {
                return require((try? received.open(with: NullCipher())) == message, "the message in one")
            }
            if case .complete(let content) = reassembler.receive(received, cipher: NullCipher()) {
                return require((try? content.message()) == message, "the message in fragments")
            }
        }
        require(false, "all fragments make no message")
    }
}

/// Leaves everything as it is.
private struct NullCipher: MessageCipher {
    let ivLength = 8
    let icvLength = 16
    let blockLength = 1
    func seal(_ message: inout [UInt8], layout: EncryptedLayout) throws(ProtectionFailure) {}
    func open(_ message: inout [UInt8], layout: EncryptedLayout) throws(ProtectionFailure) {}
}
