import CLinux
import Cryptography
import IPsec
import InMemory
import Packets
import Policy
import XDP

/// Two gateways in memory that face each other: what one seals the other opens. One batch at a time.
final class GatewayPair {
    private let sender: MemoryGateway
    private let receiver: MemoryGateway
    private let configuration: BenchmarkConfiguration
    private let addresses: UnsafeMutablePointer<UInt64>
    private let sent: UnsafeMutablePointer<XDPDescriptor>
    private let received: UnsafeMutablePointer<XDPDescriptor>
    private var turn = 0
    private var now: UInt64 = 1

    init(_ configuration: BenchmarkConfiguration, engine: any ESPEngine, key: SecretBytes) throws {
        self.configuration = configuration
        let batch = configuration.batchSize
        func gateway(_ side: BenchmarkSite.Side) throws -> MemoryGateway {
            let site = BenchmarkSite(configuration, side: side)
            return try MemoryGateway(
                framesPerWorker: max(2048, 16 * batch), snapshot: site.snapshot(engine: engine, key: key),
                configure: { $0.batchSize = batch })
        }
        sender = try gateway(.sender)
        receiver = try gateway(.receiver)
        addresses = .allocate(capacity: batch)
        sent = .allocate(capacity: batch)
        received = .allocate(capacity: batch)
        // The first round fills the fill rings.
        sender.pollOnce(now: now)
        receiver.pollOnce(now: now)
    }

    deinit {
        addresses.deallocate()
        sent.deallocate()
        received.deallocate()
    }

    /// One batch from LAN to LAN; cycles of each gateway's round. Only the rounds are timed: putting packets into
    /// frames and moving them from one gateway to the other is the wire's work.
    func run(_ traffic: BenchmarkTraffic) throws -> (outbound: UInt64, inbound: UInt64) {
        let batch = configuration.batchSize
        now &+= 1_000
        deliver(traffic, count: batch)
        let outboundStart = sluice_cycles()
        sender.pollOnce(now: now)
        let outbound = sluice_cycles() - outboundStart

        try carry(count: batch)
        let inboundStart = sluice_cycles()
        receiver.pollOnce(now: now)
        let inbound = sluice_cycles() - inboundStart

        let lan = receiver.queues[0].lan
        let arrived = lan.takeTransmitted(into: received, upTo: batch)
        _ = lan.complete(received, count: arrived)
        guard arrived == batch else { throw lost("inbound", receiver, arrived) }
        return (outbound, inbound)
    }

    private func lost(_ direction: String, _ gateway: MemoryGateway, _ got: Int) -> BenchmarkError {
        let drops = gateway.statistics[0].drops.nonZero().map { "\($0.reason.name) \($0.packets)" }
        return .lost(
            direction: direction, expected: configuration.batchSize, got: got, drops: drops.joined(separator: ", "))
    }

    /// Writes one batch of inner packets into frames of the sender's LAN port.
    private func deliver(_ traffic: BenchmarkTraffic, count: Int) {
        let lan = sender.queues[0].lan
        let taken = lan.takeFree(into: addresses, upTo: count)
        for index in 0..<taken {
            let address = (addresses[index] & ~UInt64(sender.umem.frameSize - 1)) + UInt64(UMEM.headroom)
            let frame = sender.umem.pointer(at: address)
            frame.initializeMemory(as: UInt8.self, repeating: 2, count: 12)
            frame.storeBytes(of: EtherType.ipv4.bigEndian, toByteOffset: 12, as: UInt16.self)
            let length = traffic.writePacket(at: frame + 14, number: index, association: turn)
            turn = turn + 1 >= configuration.activeAssociations ? 0 : turn + 1
            sent[index] = XDPDescriptor(address: address, length: UInt32(14 + length))
        }
        _ = lan.receive(from: sent, count: taken)
    }

    /// Moves what the sender's WAN port sent into frames of the receiver's WAN port.
    private func carry(count: Int) throws {
        let from = sender.queues[0].wan
        let to = receiver.queues[0].wan
        let moved = from.takeTransmitted(into: sent, upTo: count)
        guard moved == count else { throw lost("outbound", sender, moved) }
        guard to.takeFree(into: addresses, upTo: moved) == moved else { throw lost("wire", receiver, 0) }
        for index in 0..<moved {
            let address = (addresses[index] & ~UInt64(receiver.umem.frameSize - 1)) + UInt64(UMEM.headroom)
            receiver.umem.pointer(at: address).copyMemory(
                from: sender.umem.pointer(at: sent[index].address), byteCount: Int(sent[index].length))
            received[index] = XDPDescriptor(address: address, length: sent[index].length)
        }
        _ = to.receive(from: received, count: moved)
        _ = from.complete(sent, count: moved)
    }
}
