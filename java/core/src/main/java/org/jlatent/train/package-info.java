/**
 * Training: the optimizer, the loop around it, and what it tells along the way. Everything here
 * belongs to the thread of the model's device; callbacks are called on it.
 */
package org.jlatent.train;
