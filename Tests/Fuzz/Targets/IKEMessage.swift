import FuzzSupport
import IKEv2Messages

/// IKE messages in the clear, and decrypted content: what decodes encodes to what decodes to the same; failures lie
/// within the message; the rules and the log line take anything that decodes.
///
/// The input is a datagram, and also, behind its first two bytes (payload type, exchange), decrypted content.
@main
enum FuzzIKEMessage {
    static func main() {
        fuzz { input, count in
            let bytes = Array(UnsafeRawBufferPointer(start: input, count: count))
            asDatagram(bytes)
            asContent(bytes)
        }
    }

    private static func asDatagram(_ bytes: [UInt8]) {
        do throws(DecodingFailure) {
            let received = try ReceivedMessage(decoding: bytes)
            require(!MessageLine(received, peer: "peer").description.isEmpty, "a line")
            if let message = received.plainMessage { inspect(message) }
            _ = try? received.open(with: NullCipher())
        } catch {
            require(error.offset <= bytes.count, "\(error) beyond \(bytes.count) bytes")
        }
    }

    private static func asContent(_ bytes: [UInt8]) {
        guard bytes.count >= 2 else { return }
        let header = IKEHeader(
            initiatorSPI: 1, responderSPI: 2, exchange: ExchangeType(rawValue: 34 + bytes[1] % 11),
            direction: bytes[1] & 0x80 == 0 ? .request : .response, isFromInitiator: bytes[1] & 0x40 == 0,
            messageID: 1)
        let content = Array(bytes.dropFirst(2))
        do throws(DecodingFailure) {
            let message = try Message(
                header: header, payloads: [], firstEncrypted: PayloadType(rawValue: bytes[0]), content: content)
            inspect(message)
            let sealed = try? message.sealed(with: NullCipher())
            let again = sealed.flatMap { try? ReceivedMessage(decoding: $0).open(with: NullCipher()) }
            require(again == message, "sealed and opened: \(message)")
        } catch {
            require(error.isInsideEncrypted && error.offset <= content.count, "\(error)")
        }
    }

    private static func inspect(_ message: Message) {
        require(!message.contentsLine.isEmpty, "a line")
        _ = try? MessageRules.check(message)
        for notify in message.notifies {
            _ = (notify.wantedKeyExchange, notify.signatureHashAlgorithms, notify.windowSize, notify.childSPI)
            _ = (notify.additionalAddress, notify.messageIDSync)
        }
        _ = message.authentication?.digitalSignature
        _ = message.certificateRequests.map(\.authorities)
        _ = message.securityAssociation?.proposals.map(\.description)
        if message.encryptedPayloads == nil {
            let encoded = try? message.encoded()
            let again = encoded.flatMap { try? ReceivedMessage(decoding: $0).plainMessage }
            require(again == message, "encoded and decoded: \(message)")
        }
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
