import Foundation
import Synchronization

/// Runs `body` on a thread of its own, so that what is per thread (the network namespace) stays there.
func onOwnThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
        let thread = Thread { continuation.resume(returning: body()) }
        thread.stackSize = 1 << 20
        thread.start()
    }
}

/// Lets the other thread run, as the machine may have one core only.
func yieldProcessor() { sched_yield() }

/// Told once, to another thread.
final class Flag: Sendable {
    private let value = Atomic(false)
    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
}
