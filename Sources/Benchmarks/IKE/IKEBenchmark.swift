import IKEv2
import Packets
import Platform

/// Measures what IKE costs the control thread, in memory: no sockets, one core, the gateway as responder with X25519 and
/// a pre-shared key. Only the processor time of the gateway's side counts; the peers' is left out.
package struct IKEBenchmark {
    package struct Configuration: Sendable {
        /// Negotiations to measure, and IKE SAs that are there while liveness checks are measured.
        package var associations = 10_000
        /// Silence after which a peer is asked whether it lives.
        package var dpdDelayInSeconds: UInt64 = 30
        /// Simulated time over which the load of liveness checks is measured.
        package var seconds: UInt64 = 60

        package init() {}
    }

    package struct Report: Hashable, Sendable {
        package var associations: Int
        /// IKE_SA_INIT and IKE_AUTH with one CHILD_SA, in a second of processor time.
        package var handshakesPerSecond: Double
        /// Resident memory for each IKE SA with one CHILD_SA.
        package var bytesPerAssociation: Double
        package var dpdDelayInSeconds: UInt64
        /// Liveness checks that were made.
        package var livenessChecks: UInt64
        /// Processor time of the gateway's side for each second that passes, with all IKE SAs up: 1 is a whole core.
        package var controlThreadLoad: Double
    }

    /// Something did not come about, which makes the figures worthless.
    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    private let configuration: Configuration

    package init(_ configuration: Configuration) {
        self.configuration = configuration
    }

    package func run() throws(Failure) -> Report {
        let (rate, bytes) = try negotiations()
        let (load, checks) = try livenessLoad()
        return Report(
            associations: configuration.associations, handshakesPerSecond: rate, bytesPerAssociation: bytes,
            dpdDelayInSeconds: configuration.dpdDelayInSeconds, livenessChecks: checks, controlThreadLoad: load)
    }

    /// The number of negotiations a second, and the memory that each leaves behind. The peers are gone once they are
    /// done.
    private func negotiations() throws(Failure) -> (rate: Double, bytes: Double) {
        // Libraries, caches and the allocator get into their stride.
        let warm = BenchmarkGateway(dpdDelayInSeconds: 0)
        for number in 0..<min(configuration.associations, 500) {
            _ = try handshake(warm, number: number)
            warm.pause()
        }

        let gateway = BenchmarkGateway(dpdDelayInSeconds: 0)
        let before = CurrentProcess.residentBytes
        for number in 0..<configuration.associations {
            _ = try handshake(gateway, number: number)
            gateway.pause()
        }
        let count = Double(max(configuration.associations, 1))
        return (count / max(gateway.seconds, 1e-9), Double(CurrentProcess.residentBytes - before) / count)
    }

    /// A peer's whole negotiation with the gateway.
    private func handshake(_ gateway: BenchmarkGateway, number: Int) throws(Failure) -> BenchmarkPeer {
        let peer = BenchmarkPeer(number: number, gateway: gateway.address)
        peer.begin()
        exchange(gateway, peer)
        guard peer.isEstablished else { throw Failure(description: "negotiation \(number) failed: \(peer.trouble)") }
        return peer
    }

    /// Carries datagrams to and fro until neither side has any.
    private func exchange(_ gateway: BenchmarkGateway, _ peer: BenchmarkPeer) {
        while let datagram = peer.takeDatagram() {
            gateway.receive(datagram, path: peer.path.reversed)
            for answer in gateway.takeDatagrams() { peer.receive(answer.bytes) }
        }
    }

    /// The cost of liveness checks of all IKE SAs.
    private func livenessLoad() throws(Failure) -> (load: Double, checks: UInt64) {
        let gateway = BenchmarkGateway(dpdDelayInSeconds: configuration.dpdDelayInSeconds)
        var peers: [BenchmarkPeer] = []
        for number in 0..<configuration.associations {
            peers.append(try handshake(gateway, number: number))
            // Spread over the delay, as the negotiations of real peers are.
            gateway.advance(by: .seconds(configuration.dpdDelayInSeconds) / configuration.associations)
            answer(gateway, peers)
        }
        gateway.resetTime()
        let end = gateway.now + .seconds(configuration.seconds)
        var checks: UInt64 = 0
        while gateway.now < end {
            gateway.advance(by: .milliseconds(10))
            checks += answer(gateway, peers)
        }
        guard gateway.sessions == configuration.associations else {
            throw Failure(description: "\(configuration.associations - gateway.sessions) IKE SAs were lost")
        }
        return (gateway.seconds / Double(max(configuration.seconds, 1)), checks)
    }

    /// Lets the peers answer what the gateway has asked; the number of questions.
    @discardableResult
    private func answer(_ gateway: BenchmarkGateway, _ peers: [BenchmarkPeer]) -> UInt64 {
        var questions: UInt64 = 0
        for question in gateway.takeDatagrams() {
            let peer = peers[BenchmarkPeer.number(of: question.path.remote.address)]
            peer.now = gateway.now
            peer.receive(question.bytes)
            while let answer = peer.takeDatagram() { gateway.receive(answer, path: peer.path.reversed) }
            questions += 1
        }
        return questions
    }
}

extension Path {
    /// The path as the other end sees it.
    var reversed: Path { Path(local: remote, remote: local) }
}
