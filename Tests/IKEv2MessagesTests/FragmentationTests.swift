import Packets
import Testing

@testable import IKEv2Messages

@Suite("Fragmentation: RFC 7383")
struct FragmentationTests {
    private static let header = IKEHeader(
        initiatorSPI: 1, responderSPI: 2, exchange: .authentication, direction: .request, isFromInitiator: true,
        messageID: 1)

    private func sample(_ size: Int, messageID: UInt32 = 1, outer: [Payload] = []) -> Message {
        var header = Self.header
        header.messageID = messageID
        let data = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
        return Message(
            header: header, payloads: outer,
            encryptedPayloads: [
                .certificate(CertificatePayload(encoding: .x509Signature, data: data)), .delete(.ikeSA),
            ])
    }

    private func fragments(
        _ message: Message, _ length: Int, _ cipher: SampleCipher, moreThan total: Int = 0
    ) throws -> [ReceivedMessage] {
        try message.sealed(with: cipher, maximumLength: length, moreThan: total).map { datagram in
            #expect(datagram.count <= length)
            return try ReceivedMessage(decoding: datagram)
        }
    }

    @Test("all sizes fit their limit and come together", arguments: [128, 129, 200, 548, 1232])
    func sizes(limit: Int) throws {
        for cipher in [SampleCipher.combined(), .block()] {
            for size in stride(from: 0, through: 3000, by: 149) {
                let message = sample(size)
                let parts = try fragments(message, limit, cipher)
                if parts.count == 1 {
                    #expect(try parts[0].open(with: cipher) == message)
                    continue
                }
                #expect(parts.map { $0.encrypted?.fragment?.number } == (1...UInt16(parts.count)).map { $0 })
                #expect(parts.dropFirst().allSatisfy { $0.encrypted?.firstPayload == PayloadType.none })
                var reassembler = FragmentReassembler()
                for (index, part) in parts.enumerated() {
                    switch reassembler.receive(part, cipher: cipher) {
                    case .waiting(let missing): #expect(missing == parts.count - 1 - index)
                    case .complete(let content):
                        #expect(index == parts.count - 1)
                        #expect(content.fragments == parts.count)
                        #expect(try content.message() == message)
                    case .discarded(let reason): Issue.record("\(reason)")
                    }
                }
            }
        }
    }

    @Test("any order, with duplicates")
    func orders() throws {
        let cipher = SampleCipher.combined()
        let message = sample(300)
        let parts = try fragments(message, 150, cipher)
        #expect(parts.count == 4)
        for order in permutations(Array(parts.indices)) {
            var reassembler = FragmentReassembler()
            for (step, index) in order.enumerated() {
                let outcome = reassembler.receive(parts[index], cipher: cipher)
                if step == order.count - 1 {
                    guard case .complete(let content) = outcome else {
                        Issue.record("\(outcome)")
                        return
                    }
                    #expect(try content.message() == message)
                } else {
                    guard case .discarded(.duplicate) = reassembler.receive(parts[index], cipher: cipher) else {
                        Issue.record("a duplicate was taken")
                        return
                    }
                }
            }
        }
    }

    private func permutations(_ items: [Int]) -> [[Int]] {
        items.isEmpty
            ? [[]]
            : items.flatMap { item in permutations(items.filter { $0 != item }).map { [item] + $0 } }
    }

    @Test("one lost: nothing comes of it, whichever; the repetition completes it", arguments: 0..<4)
    func loss(lost: Int) throws {
        let cipher = SampleCipher.block()
        let message = sample(300)
        let parts = try fragments(message, 176, cipher)
        #expect(parts.count == 4)
        var reassembler = FragmentReassembler()
        for (index, part) in parts.enumerated() where index != lost {
            guard case .waiting = reassembler.receive(part, cipher: cipher) else {
                Issue.record("complete without fragment \(lost + 1)")
                return
            }
        }
        guard case .complete(let content) = reassembler.receive(parts[lost], cipher: cipher) else {
            Issue.record("not complete")
            return
        }
        #expect(try content.message() == message)
    }

    @Test("a forged fragment changes nothing")
    func forged() throws {
        let cipher = SampleCipher.combined()
        let message = sample(300)
        let parts = try fragments(message, 200, cipher)
        var reassembler = FragmentReassembler()
        for part in parts {
            for offset in [part.bytes.count - 1, 32 + 3, 34 + 1] {
                var forged = part.bytes
                forged[offset] ^= 0x04
                guard let received = try? ReceivedMessage(decoding: forged) else { continue }
                let before = reassembler.storedBytes
                guard case .discarded = reassembler.receive(received, cipher: cipher) else {
                    Issue.record("a forged fragment was stored")
                    return
                }
                #expect(reassembler.storedBytes == before)
            }
            if case .complete(let content) = reassembler.receive(part, cipher: cipher) {
                #expect(try content.message() == message)
            }
        }
        #expect(reassembler.storedBytes == 0)
    }

    @Test("a set of more and smaller fragments replaces the first; the old one is then refused")
    func newSet() throws {
        let cipher = SampleCipher.combined()
        let message = sample(1000)
        let large = try fragments(message, 548, cipher)
        let small = try fragments(message, 300, cipher, moreThan: large.count)
        #expect(small.count > large.count)
        var reassembler = FragmentReassembler()
        _ = reassembler.receive(large[0], cipher: cipher)
        guard case .waiting(let missing) = reassembler.receive(small[1], cipher: cipher) else {
            Issue.record("the new set was not taken")
            return
        }
        #expect(missing == small.count - 1)
        guard case .discarded(.supersededSet) = reassembler.receive(large[1], cipher: cipher) else {
            Issue.record("the old set was taken")
            return
        }
        var complete: ReassembledContent?
        for part in small where complete == nil {
            if case .complete(let content) = reassembler.receive(part, cipher: cipher) { complete = content }
        }
        #expect(try complete?.message() == message)
    }

    @Test("a smaller limit always gives more fragments, however near it is")
    func moreThan() throws {
        let cipher = SampleCipher.combined()
        for total in [1, 2, 5, 40] {
            let parts = try fragments(sample(20), 1200, cipher, moreThan: total)
            #expect(parts.count == total + 1)
            var reassembler = FragmentReassembler()
            var complete: ReassembledContent?
            for part in parts {
                if case .complete(let content) = reassembler.receive(part, cipher: cipher) { complete = content }
            }
            #expect(try complete?.message() == sample(20))
        }
    }

    @Test("payloads outside SK go with the first fragment, even if it has no room for more")
    func outerPayloads() throws {
        let cipher = SampleCipher.combined()
        for size in [0, 10, 100, 140, 143] {
            let outer: [Payload] = [.vendorID(VendorIDPayload(Array(repeating: 5, count: size)))]
            let message = sample(400, outer: outer)
            let parts = try fragments(message, 208, cipher)
            #expect(parts[0].payloads == outer)
            #expect(parts.dropFirst().allSatisfy { $0.payloads.isEmpty })
            var reassembler = FragmentReassembler()
            var complete: ReassembledContent?
            for part in parts.reversed() {
                if case .complete(let content) = reassembler.receive(part, cipher: cipher) { complete = content }
            }
            #expect(try complete?.message() == message)
        }
    }

    @Test("a limit without room is refused")
    func noRoom() throws {
        let cipher = SampleCipher.combined()
        #expect(throws: SealingFailure.fragmentTooSmall) {
            try sample(100).sealed(with: cipher, maximumLength: 61)
        }
        #expect(try sample(100).sealed(with: cipher, maximumLength: 62).count == 113)
        #expect(throws: SealingFailure.fragmentTooSmall) {
            try sample(65_000).sealed(with: cipher, maximumLength: 61 + 1, moreThan: 65_535)
        }
    }

    @Test("memory is bounded: fragments, bytes and messages")
    func limits() throws {
        let cipher = SampleCipher.combined()
        var limits = FragmentReassembler.Limits()
        limits.fragments = 10
        limits.contentBytes = 500
        limits.messages = 2
        var reassembler = FragmentReassembler(limits: limits)
        let many = try fragments(sample(600), 100, cipher)
        #expect(reassembler.judge(many[0]) == .tooManyFragments)

        let large = try fragments(sample(600), 300, cipher)
        var discarded: FragmentReassembler.Discard?
        for part in large {
            if case .discarded(let reason) = reassembler.receive(part, cipher: cipher) { discarded = reason }
            #expect(reassembler.storedBytes <= 500)
        }
        #expect(discarded == .tooLarge)
        reassembler.discardAll()

        let messages = try (1...3).map { try fragments(sample(300, messageID: $0), 200, cipher) }
        for parts in messages { _ = reassembler.receive(parts[0], cipher: cipher) }
        #expect(reassembler.judge(messages[0][0]) == nil, "the oldest made room")
        #expect(reassembler.judge(messages[1][0]) == .duplicate)
        #expect(reassembler.judge(messages[2][0]) == .duplicate)
        reassembler.discard(FragmentReassembler.Key(messages[1][0].header))
        #expect(reassembler.judge(messages[1][0]) == nil)
    }

    @Test("request and response of one id do not mix")
    func directions() throws {
        let cipher = SampleCipher.combined()
        let request = sample(300)
        var response = request
        response.header = request.header.response()
        #expect(!response.header.isFromInitiator && response.header.direction == .response)
        let requests = try fragments(request, 250, cipher)
        let responses = try fragments(response, 250, cipher)
        var reassembler = FragmentReassembler()
        var complete: [Message] = []
        for (first, second) in zip(requests, responses) {
            for part in [first, second] {
                if case .complete(let content) = reassembler.receive(part, cipher: cipher) {
                    complete.append(try content.message())
                }
            }
        }
        #expect(complete == [request, response])
    }

    @Test("sizes by path: RFC 7383 section 2.5.1")
    func pathSizes() {
        #expect(FragmentSize.messageLength(mtu: 576, family: .ipv4, hasMarker: false) == 548)
        #expect(FragmentSize.messageLength(mtu: 1280, family: .ipv6, hasMarker: true) == 1228)
        #expect(FragmentSize.defaultMTU(.ipv4) == 576 && FragmentSize.defaultMTU(.ipv6) == 1280)
    }
}
