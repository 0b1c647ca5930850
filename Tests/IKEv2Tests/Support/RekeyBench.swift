import IKEv2Messages
import IPsec
import Testing

@testable import IKEv2

/// Nonces of 32 equal bytes.
func nonce(_ byte: UInt8) -> [UInt8] { Array(repeating: byte, count: 32) }

extension TwoSessions {
    /// Two ends with an IKE SA and a child, and nothing said yet that counts.
    /// `watching`: from now on no moment may come in which one end sends what the other cannot receive.
    static func joined(watching: Bool = true, _ adjust: (TwoSessions) -> Void = { _ in }) -> TwoSessions {
        let bench = TwoSessions()
        adjust(bench)
        bench.initiate()
        bench.run()
        bench.expectJoined(children: bench.connection.children.count)
        bench.forgetTrace()
        bench.west.forgetEvents()
        bench.east.forgetEvents()
        if watching { bench.watchForLoss() }
        return bench
    }

    /// At every message: whatever one end sends in, the other receives in, or still drains.
    private func watchForLoss() {
        let before = tamper
        tamper = { [unowned self] bytes, number in
            for (sender, receiver) in [(west, east), (east, west)] {
                for spi in sender.outbound.keys {
                    #expect(
                        receiver.inbound[spi] != nil || receiver.draining.contains(spi),
                        "\(sender.name) sends what \(receiver.name) cannot receive; message \(number)")
                }
            }
            return before(bytes, number)
        }
    }

    // MARK: - What ends do

    func rekeyChild(_ host: TestHost) {
        guard let session = host.session, let child = session.children.first else { return }
        host.perform(session) { $0.rekeyChild(id: child.id, environment: host.environment) }
    }

    func deleteChild(_ host: TestHost) {
        guard let session = host.session, let child = session.children.first else { return }
        host.perform(session) { $0.deleteChild(id: child.id, environment: host.environment) }
    }

    func rekeyIKE(_ host: TestHost) {
        guard let session = host.session else { return }
        host.perform(session) { $0.rekeyIKE(environment: host.environment) }
    }

    func deleteIKE(_ host: TestHost) {
        guard let session = host.session else { return }
        host.perform(session) { $0.delete(environment: host.environment) }
    }

    func create(_ host: TestHost, _ child: Child) {
        guard let session = host.session else { return }
        host.perform(session) { $0.create(child, environment: host.environment) }
    }

    /// Puts the payloads that all messages have in common aside: "CREATE_CHILD_SA request 2 { SA Ni } -->".
    var story: [String] {
        trace.map { line in
            line.replacing("[SK { ", with: "{ ").replacing(" }]", with: " }").replacing("[SK { }", with: "{ }")
                .replacing("[SK {}]", with: "{ }").replacing("CREATE_CHILD_SA", with: "CREATE").replacing(
                    " × 1)", with: ")")
        }
    }

    func expectStory(_ lines: String..., sourceLocation: SourceLocation = #_sourceLocation) {
        let text = story.map { "\"\($0)\"," }.joined(separator: "\n")
        #expect(story == lines, "\(text)", sourceLocation: sourceLocation)
    }
}

extension TestHost {
    var rekeys: Int { events.count { if case .childRekeyed = $0 { true } else { false } } }
    var ikeRekeys: Int { events.count { if case .rekeyed = $0 { true } else { false } } }
    var onlyChild: ChildSA? { children.count == 1 ? children.first : nil }
}
