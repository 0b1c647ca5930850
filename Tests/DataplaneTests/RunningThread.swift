import Glibc

/// A thread of its own for work that blocks; to be joined.
final class RunningThread: @unchecked Sendable {
    private var handle = pthread_t()
    private let work: () -> Void

    init(_ work: @escaping @Sendable () -> Void) {
        self.work = work
        let context = Unmanaged.passRetained(self).toOpaque()
        let error = pthread_create(
            &handle, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<RunningThread>.fromOpaque(context).takeRetainedValue().work()
                return nil
            }, context)
        precondition(error == 0, "no thread")
    }

    func join() { pthread_join(handle, nil) }
}
