/** A program that uses jlatent. */
module org.example.consumer {
    requires org.jlatent;
    requires org.jlatent.cuda; // for a GPU
    requires jdk.unsupported; // Unsafe, for memory that is neither jlatent's nor a buffer's
}
