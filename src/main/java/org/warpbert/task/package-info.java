/** What BERT is fine-tuned for: a head with its loss, its metrics, and the library's way in, task by task. */
package org.warpbert.task;
