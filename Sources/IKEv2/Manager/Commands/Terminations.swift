/// Commands to end SAs that wait until all they are about is gone.
final class Terminations {
    private struct Termination {
        var sessions: Set<UInt32>
        var children: Set<UInt32>
        let number: Int
        let outcome: (Result<Int, Explanation>) -> Void

        var isDone: Bool { sessions.isEmpty && children.isEmpty }
    }

    private var waiting: [Termination] = []

    var isEmpty: Bool { waiting.isEmpty }

    /// `outcome` is called once, with the number, when all of these are gone.
    func add(
        sessions: [UInt32] = [], children: [UInt32] = [], number: Int,
        outcome: @escaping (Result<Int, Explanation>) -> Void
    ) {
        waiting.append(
            Termination(sessions: Set(sessions), children: Set(children), number: number, outcome: outcome))
    }

    /// The IKE SA was rekeyed: the new one is meant.
    func follow(_ old: UInt32, to new: UInt32) {
        for index in waiting.indices where waiting[index].sessions.remove(old) != nil {
            waiting[index].sessions.insert(new)
        }
    }

    /// The same of a CHILD_SA.
    func followChild(_ old: UInt32, to new: UInt32) {
        for index in waiting.indices where waiting[index].children.remove(old) != nil {
            waiting[index].children.insert(new)
        }
    }

    /// Crosses off what has ended, and tells those who wait for nothing else.
    func settle(session: UInt32? = nil, child: UInt32? = nil) {
        guard !waiting.isEmpty else { return }
        for index in waiting.indices {
            if let session { waiting[index].sessions.remove(session) }
            if let child { waiting[index].children.remove(child) }
        }
        let done = waiting.filter(\.isDone)
        waiting.removeAll(where: \.isDone)
        for termination in done { termination.outcome(.success(termination.number)) }
    }
}
